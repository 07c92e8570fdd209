/* sim_kit.c - running seeds, each in a process of its own. */
#include "sim/sim_kit.h"

#include "platform/thread.h"
#include "sim/sim_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct scenario *const __start_scenarios[], *const __stop_scenarios[];

static const struct scenario *chosen[64];
static unsigned chosen_count;

/* ---- one seed ---- */

static void run_scenario(void *scenario)
{
    ((const struct scenario *)scenario)->run();
}

static void first_thread(void *scenario)
{
    struct tu_options options = {.maxprocs = sim_plan()->procs};
    int rc = tu_main(&options, run_scenario, scenario);
    if (rc != 0)
        sim_finding("tu_main: %d", rc);
    oracle_all_came_to_rest();
}

static const struct scenario *scenario_of(uint64_t seed)
{
    return chosen[seed % chosen_count];
}

static void run_seed(uint64_t seed)
{
    sim_when_stuck = oracle_nothing_is_forgotten;
    sim_describe = oracle_describe;
    alarm(60); /* a loop without a point */
    sim_run(seed, first_thread, (void *)(uintptr_t)scenario_of(seed));
}

struct foreign {
    void (*fn)(void *arg);
    void *arg;
};

static void *foreign_main(void *arg)
{
    struct foreign f = *(struct foreign *)arg;
    tu_free(arg);
    f.fn(f.arg);
    return NULL;
}

void foreign_thread(void (*fn)(void *arg), void *arg)
{
    struct foreign *f = tu_alloc(sizeof *f);
    if (!f)
        sim_finding("no memory");
    *f = (struct foreign){fn, arg};
    if (thread_start(foreign_main, f, 0, "foreign") < 0)
        sim_finding("too many threads");
}

/* ---- many ---- */

enum { REPLAY_EVERY = 50 }; /* seeds: these run twice, and must do the same */

/* Exit status of the seed's process; what it did is in *schedule. */
static int run_apart(uint64_t seed, volatile uint64_t *schedule)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        run_seed(seed);
        *schedule = sim_schedule();
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static int run_many(const char *program, uint64_t first, uint64_t count)
{
    volatile uint64_t *shared =
        mmap(NULL, 2 * sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        const struct scenario *s = scenario_of(seed);
        int status = run_apart(seed, &shared[0]);
        if (status != 0) {
            fprintf(stderr, "seed %llu failed in %s.%s%s; replay: %s --seed %llu --trace 200\n",
                    (unsigned long long)seed, s->suite, s->name,
                    WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (ran for 60 s)" : "",
                    program, (unsigned long long)seed);
            return 1;
        }
        if (seed % REPLAY_EVERY == 0 &&
            (run_apart(seed, &shared[1]) != 0 || shared[0] != shared[1])) {
            fprintf(stderr, "seed %llu of %s.%s does something else the second time\n",
                    (unsigned long long)seed, s->suite, s->name);
            return 1;
        }
    }
    printf("ok   %llu seeds of %s from %llu\n", (unsigned long long)count, chosen[0]->suite,
           (unsigned long long)first);
    return 0;
}

static int run_one(uint64_t seed)
{
    const struct scenario *s = scenario_of(seed);
    run_seed(seed);
    printf("ok   seed %llu: %s.%s, %llu steps, schedule %016llx\n", (unsigned long long)seed,
           s->suite, s->name, (unsigned long long)sim_steps(), (unsigned long long)sim_schedule());
    return 0;
}

/* Addresses decide about buckets and orders of locks: without this a seed would not mean the same
 * run twice. */
static void fix_addresses(char **argv)
{
    int now = personality(0xffffffff);
    if (now == -1 || now & ADDR_NO_RANDOMIZE ||
        personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 200;
    bool one = false;
    const char *only = "";
    fix_addresses(argv);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            count = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            one = (first = strtoull(argv[i + 1], NULL, 10), true);
        else if (strcmp(argv[i], "--trace") == 0)
            sim_trace((unsigned)strtoul(argv[i + 1], NULL, 10));
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
        else
            argc = 0;
    }
    for (const struct scenario *const *s = __start_scenarios; s < __stop_scenarios; s++)
        if (strstr((*s)->name, only) && chosen_count < sizeof chosen / sizeof chosen[0])
            chosen[chosen_count++] = *s;
    if (argc % 2 == 0 || chosen_count == 0) {
        fprintf(stderr,
                "usage: %s [--seeds N] [--first S] | --seed S [--trace POINTS]; --only NAME\n",
                argv[0]);
        return 2;
    }
    return one ? run_one(first) : run_many(argv[0], first, count);
}
