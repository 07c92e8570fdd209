/* runtime_bench.c - runs one benchmark of libtuco in a process of its own.
 *
 *     runtime_bench NAME COUNT     a tenth of COUNT to warm up, then COUNT measured:
 *                                  ns=<per operation> [extra=<figure>]
 *     runtime_bench --list
 */
#include "runtime_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>
#include <unistd.h>

static const struct runtime_bench *const families[] = {bench_goroutine, bench_channel, bench_sync,
                                                       bench_echo, bench_hog};

struct job {
    const struct runtime_bench *bench;
    long count;
};

_Noreturn void bench_die(const char *what, int error)
{
    fprintf(stderr, "runtime_bench: %s: %s\n", what, error < 0 ? strerror(-error) : "wrong");
    exit(1);
}

void bench_check(const char *what, long rc)
{
    if (rc < 0)
        bench_die(what, (int)rc);
}

long bench_rss_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        bench_die("/proc/self/statm", 0);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void run_job(void *arg)
{
    const struct job *job = arg;
    if (job->count >= 10 && !job->bench->cold)
        (void)job->bench->run(job->count / 10);
    int64_t ns = job->bench->run(job->count);
    printf("ns=%.2f", (double)ns / (double)job->count);
    if (job->bench->extra)
        printf(" extra=%.2f", job->bench->extra());
    printf("\n");
    fflush(stdout);
    _exit(0); /* goroutines that a benchmark leaves behind need no end */
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    struct job job = {.count = argc > 2 ? atol(argv[2]) : 1};
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        for (const struct runtime_bench *b = families[f]; b->name; b++) {
            if (strcmp(name, "--list") == 0)
                printf("%s\n", b->name);
            if (strcmp(name, b->name) == 0)
                job.bench = b;
        }
    }
    if (strcmp(name, "--list") == 0)
        return 0;
    if (!job.bench || job.count < 1) {
        fprintf(stderr, "usage: runtime_bench NAME COUNT | --list\n");
        return 2;
    }
    bench_check("tu_main", tu_main(NULL, run_job, &job));
    return 0;
}
