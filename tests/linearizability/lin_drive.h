/* lin_drive.h - many connections at once to a server, in groups; each group's history is checked when its round is over.
 *
 * A group has a database and keys of its own, so its histories are small; all groups run at the same time, and the connections
 * of a group lie apart in the order in which they were made, so that a server with a thread for each so many connections serves
 * them on several cores.
 */
#pragma once

#include "linearizability/lin_check.h"

#include <netinet/in.h>

enum { LIN_GROUPS_MAX = 16 };

struct lin_options {
    struct sockaddr_in server;
    unsigned seconds, groups, clients; /* clients a group, at most LIN_CLIENTS */
    unsigned ops;                      /* operations a client in a round, at most 400 */
    uint64_t seed;
    bool quiet; /* say nothing of what was found */
};

struct lin_result {
    uint64_t rounds, operations, transactions, refused; /* refused: EXECs */
    uint64_t components, wrong, undecided,
        overlapping; /* overlapping: operations that began before the one before had ended */
    uint64_t steps;
    bool failed; /* the connection */
};

/* Drives until the time is over or a wrong history has been found and shown. */
struct lin_result lin_drive(const struct lin_options *options);
