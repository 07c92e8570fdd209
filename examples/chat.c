/* chat.c - a chat server on tu_serve: rooms, names, and nobody waits for a slow reader.
 *
 *     chat [--port N]            serves until it is killed (port 7001); talk to it with nc
 *     chat --test                serves on a free port, chats with itself, and ends
 *
 * "/name X", "/join ROOM" and "/quit" are commands; any other line goes to everybody else in the
 * room. It shows how one connection writes to others without waiting for them: who has a message
 * puts it into the other's bounded queue and wakes its handler, which sends what the socket takes.
 * Who does not read is disconnected when its queue is full: it costs QUEUE bytes, not all memory.
 * hub.lock guards the list, the names and the rooms. A client leaves the list before its handler
 * says TU_SERVE_CLOSE, so who is in the list may be woken. client.lock guards a queue and is taken
 * after hub.lock. Neither is held while anybody waits for a peer.
 */
#include "chat_guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

enum { QUEUE = 16384, LINE = 512, NAME = 24 };

struct client {
    struct client *next;         /* in hub.list */
    char name[NAME], room[NAME]; /* "": none. Written by its own handler */
    tu_conn *conn;
    struct tu_mutex lock;
    bool overrun;         /* there was no room: to be disconnected */
    size_t queued, typed; /* bytes of `queue`, and of `line`, which is the handler's alone */
    char queue[QUEUE], line[LINE];
};

static struct {
    struct tu_mutex lock;
    struct tu_condition left;
    struct client *list;
} hub;

static void tell(struct client *c, const char *text, size_t size)
{
    tu_lock_guard(&c->lock);
    if (size > QUEUE - c->queued) {
        c->overrun = true;
    } else {
        memcpy(c->queue + c->queued, text, size);
        c->queued += size;
    }
    tu_serve_wake(c->conn);
}

/* To everybody else in its room. The caller holds hub.lock. */
static void broadcast(const struct client *from, const char *between, const char *text)
{
    char message[NAME + LINE + 16];
    int size = snprintf(message, sizeof message, "%s%s%s\n", from->name, between, text);
    for (struct client *c = hub.list; c; c = c->next)
        if (c != from && *from->room && strcmp(c->room, from->room) == 0)
            tell(c, message, (size_t)size);
}

static int send_queued(struct client *c)
{
    tu_lock_guard(&c->lock);
    ssize_t n = c->overrun ? -ENOBUFS : 0;
    while (n >= 0 && c->queued > 0 && (n = tu_try_write(c->conn, c->queue, c->queued)) > 0)
        memmove(c->queue, c->queue + n, c->queued -= (size_t)n);
    return n == -EAGAIN || n >= 0 ? 0 : (int)n; /* EAGAIN: it is called again when there is room */
}

/* One line. False: this client leaves. */
static bool obey(struct client *c, const char *line)
{
    char answer[NAME + 32] = "";
    tu_lock_guard(&hub.lock);
    if (strncmp(line, "/name ", 6) == 0) {
        snprintf(c->name, sizeof c->name, "%s", line + 6);
        snprintf(answer, sizeof answer, "* you are %s\n", c->name);
    } else if (strncmp(line, "/join ", 6) == 0) {
        broadcast(c, " leaves", "");
        snprintf(c->room, sizeof c->room, "%s", line + 6);
        broadcast(c, " joins", "");
        snprintf(answer, sizeof answer, "* you are in %s\n", c->room);
    } else if (strcmp(line, "/quit") != 0) {
        broadcast(c, ": ", line);
    }
    if (*answer)
        tell(c, answer, strlen(answer));
    return strcmp(line, "/quit") != 0;
}

/* What has been typed, up to its last complete line. */
static bool obey_lines(struct client *c)
{
    char *line = c->line, *end;
    bool stay = true;
    while (stay && (end = memchr(line, '\n', c->typed - (size_t)(line - c->line)))) {
        *end = 0;
        stay = obey(c, line);
        line = end + 1;
    }
    c->typed -= (size_t)(line - c->line);
    memmove(c->line, line, c->typed);
    return stay && c->typed < LINE; /* a line without end is not waited for */
}

static void leave(struct client *c)
{
    tu_lock_guard(&hub.lock);
    broadcast(c, " leaves", "");
    struct client **at = &hub.list;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    tu_condition_broadcast(&hub.left);
}

static enum tu_serve_next handle(tu_conn *conn, unsigned events, void *state)
{
    struct client *c = state;
    bool stay = true, more = false;
    if (events & TU_SERVE_READABLE) {
        ssize_t room = LINE - (ssize_t)c->typed;
        ssize_t n = tu_try_read(conn, c->line + c->typed, (size_t)room);
        c->typed += n > 0 ? (size_t)n : 0;
        more = n == room;
        stay = n > 0 ? obey_lines(c) : n == -EAGAIN;
    }
    if (stay && send_queued(c) == 0)
        return more ? TU_SERVE_AGAIN : TU_SERVE_WAIT;
    leave(c);
    return TU_SERVE_CLOSE;
}

static int accept_all(tu_listener *listener)
{
    tu_conn *conn;
    int rc;
    while ((rc = tu_accept(listener, &conn)) == 0 || tu_sleep(10 * TU_MS) == 0) {
        if (rc != 0)
            continue; /* too many open files, say: it passes. tu_sleep hears when the context ends */
        struct client *c = tu_alloc_zeroed(sizeof *c);
        struct tu_serve_options options = {.handler = handle, .closed = tu_free, .state = c};
        tu_lock_guard(&hub.lock); /* the handler waits for it before it looks at the hub */
        if (c && tu_serve(conn, &options) == 0) {
            c->conn = conn;
            c->next = hub.list;
            hub.list = c;
        } else {
            tu_free(c);
            tu_close(conn);
        }
    }
    return rc;
}

static int self_test(tu_listener *listener)
{
    int rc = -ENOMEM;
    tu_scope(s) {
        if (tu_scope_go(&s, accept_all, listener) == 0)
            rc = chat_guests(tu_listener_fd(listener));
        tu_scope_cancel(&s); /* ends the accept; the scope waits for it */
    }
    tu_lock_guard(&hub.lock);
    while (hub.list && tu_condition_wait(&hub.left, &hub.lock) == 0)
        ; /* the guests have closed: their handlers see the end of the stream, and leave */
    return rc;
}

struct arguments {
    int port, status; /* port 0: the self-test */
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    char address[32];
    tu_listener *listener;
    snprintf(address, sizeof address, "127.0.0.1:%d", arguments->port);
    int rc = tu_listen(&listener, address, NULL);
    if (rc == 0) {
        rc = arguments->port ? accept_all(listener) : self_test(listener);
        tu_listener_close(listener);
    }
    fprintf(rc ? stderr : stdout, "chat: %s\n", rc ? strerror(-rc) : "ok");
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {7001, 1};
    if (argc == 2 && strcmp(argv[1], "--test") == 0)
        arguments.port = 0;
    else if (argc == 3 && strcmp(argv[1], "--port") == 0)
        arguments.port = atoi(argv[2]);
    else if (argc != 1)
        return fprintf(stderr, "usage: chat [--port N | --test]\n"), 2;
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
