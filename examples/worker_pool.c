/* worker_pool.c - a fixed number of workers takes jobs from one channel; a deadline bounds the whole.
 *
 * Closing the channel of jobs is how the workers learn that there are no more; a wait group tells
 * when the last of them is done.
 */
#include <stdio.h>
#include <tuco.h>

enum { WORKERS = 3, JOBS = 30 };

struct job {
    int number;
    long result;
};

/* The number of steps that the Collatz sequence takes from n to 1. */
static long collatz(long n)
{
    long steps = 0;
    for (; n != 1; steps++)
        n = n % 2 ? 3 * n + 1 : n / 2;
    return steps;
}

static void work(tu_channel *jobs, tu_channel *results, struct tu_wait_group *group)
{
    struct job job;
    while (tu_channel_recv(jobs, &job) == 0) {
        job.result = collatz(job.number);
        if (tu_channel_send(results, &job) != 0)
            break;
    }
    tu_wait_group_done(group);
}

static void run(void *arg)
{
    int *status = arg;
    tu_chan(struct job) jobs = tu_make_chan(struct job, JOBS);
    tu_chan(struct job) results = tu_make_chan(struct job, JOBS);
    struct tu_wait_group group = {0};
    tu_context *deadline = tu_with_timeout(tu_context_current(), 10 * TU_S);
    tu_defer(tu_cancel, deadline);
    tu_in_context(deadline) {
        for (int i = 0; i < WORKERS; i++) {
            tu_wait_group_add(&group, 1);
            if (tu_go(work, tu_chan_untyped(jobs), tu_chan_untyped(results), &group) != 0)
                return;
        }
        for (int i = 1; i <= JOBS; i++)
            if (tu_send(jobs, ((struct job){.number = i})) != 0)
                return;
        tu_close_chan(jobs);
        if (tu_wait_group_wait(&group) != 0)
            return;
        tu_close_chan(results);
        long total = 0;
        int done = 0;
        for (struct job job; tu_recv(results, &job) == 0; done++)
            total += job.result;
        printf("%d jobs by %d workers, %ld steps\n", done, WORKERS, total);
        *status = done == JOBS ? 0 : 1;
    }
    tu_free_chan(jobs);
    tu_free_chan(results);
}

int main(void)
{
    int status = 1;
    return tu_main(NULL, run, &status) ? 1 : status;
}
