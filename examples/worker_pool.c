/* worker_pool.c - a fixed number of workers behind a bounded queue; the first error stops all.
 *
 *     worker_pool                    30 jobs that work, then a set in which one does not
 *     worker_pool WORKERS NUMBER...  how many steps the Collatz sequence takes from each to 1
 *
 * The queue is a channel: who submits waits while it is full, so a fast producer cannot fill the
 * memory. Closing it says that there are no more jobs. Workers and the collector of results are
 * children of a scope: a worker that returns an error cancels the scope, which ends every wait of
 * the others and of the producer, and the scope's error is the first one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

enum { QUEUE = 4 };

struct job {
    long number;
    long *steps; /* where the result goes; belongs to whoever holds the job */
};

typedef tu_chan(struct job) jobs;
typedef tu_chan(long) numbers;

static int collatz(long n, long *steps)
{
    if (n < 1)
        return -EINVAL;
    for (*steps = 0; n != 1; ++*steps)
        n = n % 2 ? 3 * n + 1 : n / 2;
    return 0;
}

/* A closed queue means that the work is done. */
static int work(jobs queue, numbers done)
{
    struct job job;
    int rc;
    while ((rc = tu_recv(queue, &job)) == 0) {
        rc = collatz(job.number, job.steps);
        if (rc == 0)
            rc = tu_send(done, *job.steps);
        if (rc != 0)
            return rc;
    }
    return rc == -EPIPE ? 0 : rc;
}

static int submit_all(jobs queue, const long *number, long *steps, int count)
{
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = tu_send(queue, ((struct job){number[i], &steps[i]}));
    tu_close_chan(queue);
    return rc;
}

/* The block of the scope collects: it knows how many results there are to come. */
static int collect(numbers done, int count, long *total)
{
    long steps;
    int rc = 0;
    *total = 0;
    for (int i = 0; i < count && (rc = tu_recv(done, &steps)) == 0; i++)
        *total += steps;
    return rc;
}

/* steps[i] for each number[i] and their total, computed by `workers` at a time. 0, or the first error. */
static int pool_run(int workers, const long *number, long *steps, int count, long *total)
{
    int rc = -ENOMEM;
    jobs queue = tu_make_chan(struct job, QUEUE);
    numbers done = tu_make_chan(long, QUEUE);
    if (queue && done)
        tu_scope(s) {
            for (int i = 0; i < workers; i++)
                tu_scope_go(&s, work, queue, done);
            tu_scope_go(&s, submit_all, queue, number, steps, count);
            rc = collect(done, count, total);
            int error = tu_scope_wait(&s); /* says why; `rc` says only that the wait was ended */
            rc = error ? error : rc;
        }
    tu_free_chan(queue);
    tu_free_chan(done);
    return rc;
}

static int report(int workers, const long *number, int count)
{
    long total = 0, *steps = tu_alloc((size_t)count * sizeof *steps);
    if (!steps)
        return -ENOMEM;
    int rc = pool_run(workers, number, steps, count, &total);
    if (rc == 0)
        printf("%d jobs, %ld steps\n", count, total);
    else
        printf("%d jobs: %s\n", count, strerror(-rc));
    tu_free(steps);
    return rc;
}

static int demonstrate(void)
{
    enum { JOBS = 1000 };
    long number[JOBS];
    for (int i = 0; i < JOBS; i++)
        number[i] = i + 1;
    int rc = report(3, number, 30);
    number[JOBS / 2] = -1; /* its worker fails, and the rest is not looked at */
    return rc == 0 && report(3, number, JOBS) == -EINVAL ? 0 : -EIO;
}

struct arguments {
    char **words; /* WORKERS NUMBER..., ends with NULL */
    int count, status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    int count = arguments->count - 1;
    if (count < 1) {
        arguments->status = demonstrate() ? 1 : 0;
        return;
    }
    long *number = tu_alloc((size_t)count * sizeof *number);
    for (int i = 0; number && i < count; i++)
        number[i] = atol(arguments->words[i + 1]);
    arguments->status = number && report(atoi(arguments->words[0]), number, count) == 0 ? 0 : 1;
    tu_free(number);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {argv + 1, argc - 1, 1};
    if (argc == 2 || (argc > 2 && atoi(argv[1]) < 1)) {
        fprintf(stderr, "usage: worker_pool [WORKERS NUMBER...]\n");
        return 2;
    }
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
