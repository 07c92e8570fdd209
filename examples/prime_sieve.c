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

static void sieve(void *arg)
{
    int count = *(int *)arg, prime = 0;
    tu_chan(int) c = tu_make_chan(int, 0);
    if (tu_go(count_up, tu_chan_untyped(c)) != 0)
        return;
    for (int i = 0; i < count && tu_recv(c, &prime) == 0; i++) {
        printf("%d\n", prime);
        tu_chan(int) next = tu_make_chan(int, 0);
        if (tu_go(filter, tu_chan_untyped(c), tu_chan_untyped(next), prime) != 0)
            return;
        c = next;
    }
    tu_close_chan(c);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 20;
    return tu_main(NULL, sieve, &count) ? 1 : 0;
}
