/* graceful_guests.h - the test of graceful.c: clients in the middle of things when SIGTERM comes. */
#pragma once

struct graceful_counts {
    long accepted;  /* requests read to their end */
    long done;      /* answered with "done" */
    long cancelled; /* answered with "cancelled" */
};

/* Talks to the server behind this descriptor, sends this process SIGTERM when every guest has a request
 * at work, has begun one, or is idle, and counts in `seen` what the guests were told. 0 or -errno. */
int graceful_guests(int listener_fd, struct graceful_counts *seen);
