/* pipeline.c - three stages that run at once, and a cancellation that ends them all.
 *
 * numbers -> squares (four goroutines) -> sum. The sum stops at a limit and cancels the context; the
 * stages before it wait in a send at that moment, and hear of it there. The scope joins everyone
 * before it is left, so nothing leaks and the channels may be freed.
 */
#include <stdio.h>
#include <tuco.h>

enum { WORKERS = 4, LIMIT = 1000000 };

static int generate(tu_channel *out)
{
    for (long i = 1;; i++) {
        int rc = tu_channel_send(out, &i);
        if (rc != 0)
            return rc; /* -ECANCELED: nobody wants more */
    }
}

static int square(tu_channel *in, tu_channel *out)
{
    for (long n;;) {
        int rc = tu_channel_recv(in, &n);
        if (rc != 0)
            return rc;
        n *= n;
        rc = tu_channel_send(out, &n);
        if (rc != 0)
            return rc;
    }
}

static void run(void *arg)
{
    int *status = arg;
    tu_chan(long) numbers = tu_make_chan(long, 0), squares = tu_make_chan(long, 8);
    long sum = 0, terms = 0, n;
    tu_scope(s) {
        tu_scope_go(&s, generate, tu_chan_untyped(numbers));
        for (int i = 0; i < WORKERS; i++)
            tu_scope_go(&s, square, tu_chan_untyped(numbers), tu_chan_untyped(squares));
        while (sum < LIMIT && tu_recv(squares, &n) == 0) {
            sum += n;
            terms++;
        }
        tu_scope_cancel(&s);
    }
    tu_free_chan(numbers);
    tu_free_chan(squares);
    printf("%ld squares make %ld, at least %d; goroutines left: %zu\n", terms, sum, LIMIT,
           tu_goroutines() - 1);
    *status = sum >= LIMIT && tu_goroutines() == 1 ? 0 : 1;
}

int main(void)
{
    int status = 1;
    return tu_main(NULL, run, &status) ? 1 : status;
}
