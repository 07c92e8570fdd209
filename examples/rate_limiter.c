/* rate_limiter.c - a token bucket that any number of goroutines share.
 *
 *     rate_limiter               checks its own rate
 *     rate_limiter RATE BURST    lets lines from standard input through, RATE a second
 *
 * The bucket is one number: the time at which the next token falls due. Who takes one moves it on by
 * an interval and sleeps until his token's time, so there is no goroutine that fills the bucket, takers
 * are served in the order in which they came, and a million tokens that nobody takes cost nothing. A
 * bucket that was left alone holds BURST tokens: the due time lies that far in the past. Who could not
 * get his token before the deadline of his context is told so at once, without taking it; who is
 * cancelled while he waits gives it back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

struct bucket {
    struct tu_mutex lock;
    int64_t interval_ns; /* between two tokens */
    int64_t burst;       /* tokens that may be saved up */
    int64_t due_ns;      /* when the next token is there, on tu_now()'s clock */
};

static void bucket_init(struct bucket *b, int64_t per_second, int64_t burst)
{
    *b = (struct bucket){.interval_ns = TU_S / per_second, .burst = burst};
}

/* Reserves the next token: its time, or -ETIMEDOUT if that is after `deadline_ns` (0: none). */
static int64_t reserve(struct bucket *b, int64_t deadline_ns)
{
    tu_lock_guard(&b->lock);
    int64_t full_ns = tu_now() - (b->burst - 1) * b->interval_ns;
    int64_t due_ns = b->due_ns > full_ns ? b->due_ns : full_ns;
    if (deadline_ns && due_ns > deadline_ns)
        return -ETIMEDOUT;
    b->due_ns = due_ns + b->interval_ns;
    return due_ns;
}

static void give_back(struct bucket *b)
{
    tu_lock_guard(&b->lock);
    b->due_ns -= b->interval_ns; /* for those who come next: who waits already keeps his time */
}

/* Takes a token; parks until it is there. 0, -ETIMEDOUT if the current context's deadline is before
 * that, or the context's error if it ends meanwhile. From any goroutine or thread. */
static int bucket_take(struct bucket *b)
{
    int64_t due_ns = reserve(b, tu_context_deadline(tu_context_current()));
    if (due_ns < 0)
        return (int)due_ns;
    int64_t wait_ns = due_ns - tu_now();
    int rc = wait_ns > 0 ? tu_sleep(wait_ns) : 0;
    if (rc != 0)
        give_back(b);
    return rc;
}

/* ---- the check ---- */

enum { TAKERS = 16, EACH = 20, PER_SECOND = 1000, BURST = 10 };

static int take_some(struct bucket *b, int64_t *when)
{
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++) {
        rc = bucket_take(b);
        when[i] = tu_now();
    }
    return rc;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Token i of a full bucket is not there before i - BURST + 1 intervals: this holds however slow the
 * machine is, and a limiter that lets one through too early fails it. */
static int check_rate(struct bucket *b)
{
    static int64_t when[TAKERS * EACH];
    int64_t start_ns = tu_now();
    int rc = 0, early = 0;
    tu_scope(s) {
        for (int i = 0; i < TAKERS; i++)
            tu_scope_go(&s, take_some, b, &when[i * EACH]);
        rc = tu_scope_wait(&s);
    }
    if (rc != 0)
        return rc;
    qsort(when, TAKERS * EACH, sizeof when[0], by_time);
    for (int i = 0; i < TAKERS * EACH; i++)
        early += when[i] < start_ns + (i - BURST + 1) * b->interval_ns;
    int64_t took_ns = when[TAKERS * EACH - 1] - start_ns;
    fprintf(stderr, "%d tokens in %lld ms\n", TAKERS * EACH, (long long)(took_ns / TU_MS));
    printf("%d tokens for %d goroutines, %d too early\n", TAKERS * EACH, TAKERS, early);
    return early ? -EPROTO : 0;
}

/* Two who cannot wait: one knows it at once, one is cancelled; neither keeps a token. */
static int check_impatience(void)
{
    struct bucket slow = {.interval_ns = 3600 * TU_S, .burst = 1};
    int first = bucket_take(&slow), hurried = 0, cancelled = 0; /* the next token: in an hour */
    int64_t due_ns = slow.due_ns;
    tu_context *hurry = tu_with_timeout(tu_context_current(), 100 * TU_MS);
    tu_defer(tu_cancel, hurry);
    tu_in_context(hurry) {
        hurried = bucket_take(&slow);
    }
    tu_context *ended = tu_with_cancel(tu_context_current());
    tu_defer(tu_cancel, ended);
    tu_context_cancel(ended, -ECANCELED);
    tu_in_context(ended) {
        cancelled = bucket_take(&slow);
    }
    printf("in a hurry: %s; cancelled: %s\n", strerror(-hurried), strerror(-cancelled));
    return first == 0 && hurried == -ETIMEDOUT && cancelled == -ECANCELED && slow.due_ns == due_ns
               ? 0
               : -EPROTO;
}

static int pass_lines(struct bucket *b)
{
    char line[4096]; /* standard input blocks the thread; the others get another one after 10 ms */
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, stdin))
        if ((rc = bucket_take(b)) == 0)
            fputs(line, stdout);
    return rc;
}

struct arguments {
    int per_second, burst;
    bool check;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    struct bucket bucket;
    bucket_init(&bucket, arguments->per_second, arguments->burst);
    int rc = arguments->check ? check_rate(&bucket) : pass_lines(&bucket);
    if (rc == 0 && arguments->check)
        rc = check_impatience();
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {PER_SECOND, BURST, true, 1};
    if (argc == 3)
        arguments = (struct arguments){atoi(argv[1]), atoi(argv[2]), false, 1};
    if (argc == 2 || argc > 3 || arguments.per_second < 1 || arguments.burst < 1) {
        fprintf(stderr, "usage: rate_limiter [RATE BURST]\n");
        return 2;
    }
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
