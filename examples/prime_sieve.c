/* prime_sieve.c - the first primes, found by a chain of goroutines: each filters the multiples of
 * one prime out of what the one before it sends, and the first number that comes through is the
 * next prime.
 *
 *     prime_sieve [COUNT]        20 if no COUNT is given
 *
 * It shows a chain that grows while it runs, and how it ends: when enough primes have come, the last
 * channel is closed, its sender gets -EPIPE and closes its own input, and so on up to the source.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tuco.h>

typedef tu_chan(int) numbers;

static void count_up(numbers out)
{
    for (int i = 2; tu_send(out, i) == 0; i++)
        ;
}

static void filter(numbers in, numbers out, int prime)
{
    int n;
    while (tu_recv(in, &n) == 0)
        if (n % prime != 0 && tu_send(out, n) != 0)
            break;
    tu_close_chan(in); /* by the receiver: it is the one who knows that the chain ends here */
}

/* Prints `count` primes; 0, or -ENOMEM. `chain` has room for count + 1 channels. */
static int sieve(numbers *chain, int count)
{
    int prime, made = 0, rc = -ENOMEM;
    tu_scope(s) {
        if ((chain[0] = tu_make_chan(int, 0))) {
            made = 1;
            rc = tu_scope_go(&s, count_up, chain[0]);
        }
        while (rc == 0 && made <= count && (rc = tu_recv(chain[made - 1], &prime)) == 0) {
            printf("%d\n", prime);
            if (!(chain[made] = tu_make_chan(int, 0))) {
                rc = -ENOMEM;
                break;
            }
            made++;
            rc = tu_scope_go(&s, filter, chain[made - 2], chain[made - 1], prime);
        }
        if (made > 0)
            tu_close_chan(chain[made - 1]);
        if (rc != 0)
            tu_scope_cancel(&s); /* a filter may be missing: then closing does not reach everyone */
    }
    /* The scope has joined everyone: nobody uses the channels any more. */
    for (int i = 0; i < made; i++)
        tu_free_chan(chain[i]);
    return rc;
}

struct arguments {
    int count, status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    numbers *chain = tu_alloc_zeroed((size_t)(arguments->count + 1) * sizeof *chain);
    arguments->status = chain && sieve(chain, arguments->count) == 0 ? 0 : 1;
    tu_free(chain);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {argc > 1 ? atoi(argv[1]) : 20, 1};
    if (arguments.count < 1 || arguments.count > 100000) {
        fprintf(stderr, "usage: prime_sieve [COUNT]   at least 1, at most 100000\n");
        return 2;
    }
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
