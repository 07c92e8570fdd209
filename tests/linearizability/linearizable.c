/* linearizable.c - the program: drives a server, or tests itself. README.md says how to read what it prints. */
#include "linearizability/lin_drive.h"
#include "linearizability/lin_self.h"
#include "linearizability/lin_stub.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int usage(void)
{
    (void)fprintf(stderr,
                  "linearizable --port N [--host A.B.C.D] [--seconds N] [--seed N] [--groups N] "
                  "[--clients N] [--ops N]\n"
                  "linearizable --self-test [--seconds N] [--seed N]\n");
    return 2;
}

static bool option(int argc, char **argv, int *i, const char *name, uint64_t *value)
{
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
        return false;
    *value = strtoull(argv[++*i], NULL, 10);
    return true;
}

static int drive(const struct lin_options *options)
{
    struct lin_result r = lin_drive(options);
    printf("%" PRIu64 " operations in %" PRIu64 " rounds and %" PRIu64 " histories; %" PRIu64
           " transactions, %" PRIu64
           " refused by WATCH; %.0f %% began while another ran; %.1f steps "
           "an operation\n%" PRIu64 " histories are not linearizable, %" PRIu64 " undecided%s\n",
           r.operations, r.rounds, r.components, r.transactions, r.refused,
           r.operations != 0 ? 100.0 * (double)r.overlapping / (double)r.operations : 0.0,
           r.operations != 0 ? (double)r.steps / (double)r.operations : 0.0, r.wrong, r.undecided,
           r.failed ? "; a client failed" : "");
    return r.failed || r.wrong > 0 || r.undecided * 100 > r.components || r.operations == 0;
}

int main(int argc, char **argv)
{
    struct lin_options options = {.groups = LIN_GROUPS_MAX, .clients = 6, .ops = 60};
    uint64_t port = 0, seconds = 5, seed = (uint64_t)time(NULL), groups = LIN_GROUPS_MAX,
             clients = 6, ops = 60;
    const char *host = "127.0.0.1";
    bool self = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--self-test") == 0)
            self = true;
        else if (strcmp(argv[i], "--host") == 0 && i + 1 < argc)
            host = argv[++i];
        else if (!option(argc, argv, &i, "--port", &port) &&
                 !option(argc, argv, &i, "--seed", &seed) &&
                 !option(argc, argv, &i, "--seconds", &seconds) &&
                 !option(argc, argv, &i, "--groups", &groups) &&
                 !option(argc, argv, &i, "--clients", &clients) &&
                 !option(argc, argv, &i, "--ops", &ops))
            return usage();
    }
    printf("seed %" PRIu64 "\n", seed);
    if (self)
        return lin_self_test(seed, (unsigned)seconds) ? 0 : 1;
    options.server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port == 0 || inet_pton(AF_INET, host, &options.server.sin_addr) != 1 || groups == 0 ||
        clients < 2)
        return usage();
    options.seconds = (unsigned)seconds;
    options.seed = seed;
    options.groups = (unsigned)(groups < LIN_GROUPS_MAX ? groups : LIN_GROUPS_MAX);
    options.clients = (unsigned)(clients < LIN_CLIENTS ? clients : LIN_CLIENTS);
    options.ops = (unsigned)(ops < 400 ? ops : 400);
    return drive(&options);
}
