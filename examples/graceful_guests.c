/* graceful_guests.c - see graceful_guests.h. */
#include "graceful_guests.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

struct party {
    char address[32];
    struct tu_wait_group arriving;
    tu_context *signalled; /* ends when the signal has been sent */
    struct tu_mutex lock;
    struct graceful_counts seen;
};

/* What a guest says before and after the signal; the first has something at work in between. */
static const struct script {
    const char *before, *after;
    int copies;
} scripts[] = {
    {"work 5\nwork 5\n", "", 8}, /* the second has arrived, and is owed an answer as well */
    {"work 3600000\n", "", 1},   /* longer than any grace */
    {"wor", "k 5\n", 1},         /* begun before the signal: finished after it */
    {"", "", 2},                 /* idle: closed, without waiting for the grace to end */
};

static long occurrences(const char *text, const char *word)
{
    long n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

/* Appends to `heard` what comes until `word` is in it, or until the end of the stream. */
static int hear(tu_conn *conn, char *heard, size_t size, const char *word)
{
    size_t have = strlen(heard);
    ssize_t n = 1;
    while (n > 0 && have < size - 1 && !(word && strstr(heard, word)))
        if ((n = tu_read(conn, heard + have, size - 1 - have)) > 0)
            heard[have += (size_t)n] = 0;
    return n < 0 ? (int)n : 0;
}

static int talk(struct party *p, const struct script *script, tu_conn *conn, char *heard,
                size_t size)
{
    ssize_t n = tu_write(conn, script->before, strlen(script->before));
    int rc = n < 0 ? (int)n : 0;
    if (rc == 0 && strchr(script->before, '\n'))
        rc = hear(conn, heard, size, "started\n");
    tu_wait_group_done(&p->arriving);
    (void)tu_context_wait(p->signalled);
    n = tu_write(conn, script->after, strlen(script->after));
    rc = rc ? rc : n < 0 ? (int)n : 0;
    return rc ? rc : hear(conn, heard, size, NULL);
}

static int guest(struct party *p, const struct script *script)
{
    char heard[512] = "";
    tu_conn *conn;
    int rc = tu_dial(&conn, p->address);
    if (rc != 0) {
        tu_wait_group_done(&p->arriving);
        return rc;
    }
    rc = talk(p, script, conn, heard, sizeof heard);
    tu_close(conn);
    tu_lock_guard(&p->lock);
    p->seen.accepted += occurrences(heard, "started\n");
    p->seen.done += occurrences(heard, "done\n");
    p->seen.cancelled += occurrences(heard, "cancelled\n");
    return rc;
}

int graceful_guests(int listener_fd, struct graceful_counts *seen)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    struct party p = {.signalled = tu_with_cancel(tu_context_current())};
    tu_defer(tu_cancel, p.signalled);
    int rc = getsockname(listener_fd, (struct sockaddr *)&a, &size) == 0 && p.signalled ? 0 : -EIO;
    snprintf(p.address, sizeof p.address, "127.0.0.1:%d", ntohs(a.sin_port));
    tu_scope(guests) {
        for (size_t i = 0; rc == 0 && i < sizeof scripts / sizeof scripts[0]; i++)
            for (int k = 0; k < scripts[i].copies; k++) {
                tu_wait_group_add(&p.arriving, 1);
                if (tu_scope_go(&guests, guest, &p, &scripts[i]) != 0)
                    tu_wait_group_done(&p.arriving);
            }
        if (tu_wait_group_wait(&p.arriving) == 0)
            tu_context_cancel(p.signalled, -ECANCELED);
        kill(getpid(), SIGTERM);
        rc = rc ? rc : tu_scope_wait(&guests);
    }
    *seen = p.seen;
    return rc;
}
