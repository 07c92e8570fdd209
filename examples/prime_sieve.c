/* prime_sieve.c - the first primes, found by a chain of goroutines: each filters the multiples of
 * one prime out of what the one before it sends, and the first number that comes through is the
 * next prime.
 *
 *     prime_sieve [COUNT]
 */
#include <stdio.h>
#include <stdlib.h>
#include <tuco.h>

static void count_up(tu_channel *out)
{
    for (int i = 2; tu_channel_send(out, &i) == 0; i++)
        ;
}

/* Ends when its output is closed, and closes its input then: so the whole chain unwinds. */
static void filter(tu_channel *in, tu_channel *out, int prime)
{
    int n;
    while (tu_channel_recv(in, &n) == 0)
        if (n % prime != 0 && tu_channel_send(out, &n) != 0)
            break;
    tu_channel_close(in);
}

/* Prints `count` primes; false when memory ran out before. */
static bool sieve(tu_channel **chain, int count)
{
    int prime = 0, made = 0;
    tu_scope(s) {
        chain[made++] = tu_channel_make(sizeof(int), 0);
        tu_scope_go(&s, count_up, chain[0]);
        while (made <= count && tu_channel_recv(chain[made - 1], &prime) == 0) {
            printf("%d\n", prime);
            chain[made++] = tu_channel_make(sizeof(int), 0);
            tu_scope_go(&s, filter, chain[made - 2], chain[made - 1], prime);
        }
        tu_channel_close(chain[made - 1]);
    }
    /* The scope has joined everyone: nobody uses the channels any more. */
    for (int i = 0; i < made; i++)
        tu_channel_free(chain[i]);
    return made == count + 1;
}

struct arguments {
    int count;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    tu_channel **chain = tu_alloc_zeroed((size_t)(arguments->count + 1) * sizeof *chain);
    if (chain && sieve(chain, arguments->count))
        arguments->status = 0;
    tu_free(chain);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {argc > 1 ? atoi(argv[1]) : 20, 1};
    if (arguments.count < 1 || arguments.count > 100000)
        return 2;
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
