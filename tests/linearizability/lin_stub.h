/* lin_stub.h - a server in this process that is the model itself, right or broken on purpose.
 *
 * The right one shows that the driver and the checker say nothing of what is as it should be; each of the others must be found.
 */
#pragma once

#include "linearizability/lin_model.h"

#include <netinet/in.h>

enum lin_fault {
    LIN_FAULTLESS,
    LIN_LOST_UPDATE, /* a command works on what it read before others were let in, and writes it back */
    LIN_TORN_WRITE, /* the keys that a command changes are written one after the other, with others in between */
    LIN_TORN_READ,   /* the keys of a command are read one after the other */
    LIN_TORN_EXEC,   /* others are let in between the commands of a transaction */
    LIN_STALE_READ,  /* a client that reads is now and then shown what was there before */
    LIN_EARLY_REPLY, /* the reply is sent before the command is done */
    LIN_DEAF_WATCH,  /* EXEC does not ask whether a watched key has changed */
    LIN_JUMPY_WATCH, /* EXEC refuses now and then without a reason */
    LIN_LATE_WATCH,  /* WATCH answers before it watches */
    LIN_FAULTS,
};
const char *lin_fault_name(enum lin_fault fault);

struct lin_stub;
/* Listens on a port of its own choice of 127.0.0.1; *address says which. */
struct lin_stub *lin_stub_start(enum lin_fault fault, struct sockaddr_in *address);
/* All clients have gone. */
void lin_stub_stop(struct lin_stub *stub);
