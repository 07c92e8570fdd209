/* chat_guests.c - see chat_guests.h. Whoever says something waits for what another hears of it, so the
 * order of everything is known without a single sleep. */
#include "chat_guests.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>

enum { PATIENCE = 60, PADDING = 400, FLOOD_LINES = 1000000 };

struct guest {
    tu_conn *conn;
    size_t have; /* bytes of `heard` that nobody has looked at */
    char heard[1024];
};

static int enter(struct guest *g, int listener_fd)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    char address[32];
    if (getsockname(listener_fd, (struct sockaddr *)&a, &size) != 0)
        return -ENOTSOCK;
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(a.sin_port));
    return tu_dial(&g->conn, address);
}

static int say(struct guest *g, const char *text)
{
    ssize_t n = tu_write(g->conn, text, strlen(text));
    return n < 0 ? (int)n : 0;
}

/* The next line, with its end, as a string. */
static int hear(struct guest *g, char *line, size_t size)
{
    char *end;
    while (!(end = memchr(g->heard, '\n', g->have))) {
        ssize_t n = tu_read(g->conn, g->heard + g->have, sizeof g->heard - g->have);
        if (n <= 0)
            return n ? (int)n : -EPIPE;
        g->have += (size_t)n;
    }
    size_t length = (size_t)(end - g->heard) + 1;
    snprintf(line, size, "%.*s", (int)length, g->heard);
    memmove(g->heard, g->heard + length, g->have -= length);
    return 0;
}

static int expect(struct guest *g, const char *expected)
{
    char line[1024];
    int rc = hear(g, line, sizeof line);
    if (rc == 0 && strcmp(line, expected) != 0) {
        fprintf(stderr, "chat: heard %sinstead of %s", line, expected);
        rc = -EPROTO;
    }
    return rc;
}

static int introduce(struct guest *g, const char *name, const char *room)
{
    char text[128];
    snprintf(text, sizeof text, "/name %s\n/join %s\n", name, room);
    int rc = say(g, text);
    snprintf(text, sizeof text, "* you are %s\n", name);
    rc = rc ? rc : expect(g, text);
    snprintf(text, sizeof text, "* you are in %s\n", room);
    return rc ? rc : expect(g, text);
}

/* Talks until the server has thrown out the one who does not listen; bob hears every line. */
static int flood(struct guest *alice, struct guest *bob, int *lines)
{
    char text[PADDING + 2], line[1024];
    memset(text, 'x', PADDING);
    snprintf(text + PADDING, sizeof text - PADDING, "\n");
    for (*lines = 1; *lines <= FLOOD_LINES; ++*lines) {
        int rc = say(alice, text);
        rc = rc ? rc : hear(bob, line, sizeof line);
        if (rc == 0 && strcmp(line, "dave leaves\n") == 0)
            return expect(alice, line); /* bob may still have a line to hear: it was said later */
        if (rc != 0)
            return rc;
    }
    return -ETIME;
}

/* What dave finds when he listens at last: what the socket had taken, then the end. */
static int listen_at_last(struct guest *dave)
{
    ssize_t n;
    while ((n = tu_read(dave->conn, dave->heard, sizeof dave->heard)) > 0)
        ;
    return n == 0 || n == -ECONNRESET ? 0 : (int)n;
}

static int converse(int listener_fd, struct guest *alice, struct guest *bob, struct guest *carol,
                    struct guest *dave)
{
    int lines = 0, rc;
    bool wrong = (rc = enter(alice, listener_fd)) || (rc = introduce(alice, "alice", "tea")) ||
                 (rc = enter(bob, listener_fd)) || (rc = introduce(bob, "bob", "tea")) ||
                 (rc = expect(alice, "bob joins\n")) || (rc = enter(carol, listener_fd)) ||
                 (rc = introduce(carol, "carol", "coffee")) || (rc = say(alice, "hello\nbob\n")) ||
                 (rc = expect(bob, "alice: hello\n")) || (rc = expect(bob, "alice: bob\n")) ||
                 (rc = say(carol, "/name caroline\n")) ||
                 (rc = expect(carol, "* you are caroline\n")) || /* and nothing before it */
                 (rc = enter(dave, listener_fd)) || (rc = introduce(dave, "dave", "tea")) ||
                 (rc = expect(alice, "dave joins\n")) || (rc = expect(bob, "dave joins\n")) ||
                 (rc = flood(alice, bob, &lines)) || (rc = listen_at_last(dave));
    if (!wrong)
        printf("thrown out: one who did not listen\n");
    return rc;
}

int chat_guests(int listener_fd)
{
    struct guest *guests = tu_alloc_zeroed(4 * sizeof *guests);
    tu_context *patience = tu_with_timeout(tu_context_current(), PATIENCE * TU_S);
    int rc = -ENOMEM;
    if (guests && patience)
        tu_in_context(patience) {
            rc = converse(listener_fd, &guests[0], &guests[1], &guests[2], &guests[3]);
        }
    for (int i = 0; guests && i < 4; i++)
        if (guests[i].conn)
            tu_close(guests[i].conn);
    tu_free(guests);
    tu_context_release(patience);
    return rc;
}
