/* bare_loop.c - the ceiling: an epoll loop that answers without looking.
 *
 * It stands for the least work a server on this machine can do with its sockets: one epoll_wait, one
 * read and one write per readable connection, nothing in between. Requests are counted by their
 * size alone, so the load must send requests of one size.
 *
 *     bare_loop --port N [--threads 1] [--request BYTES --reply TEXT]
 *
 * Without --request it echoes. In TEXT, \r and \n are escapes and $N stands for a bulk string of N
 * bytes. Connections are dealt to the threads in turn. Ends on SIGTERM.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, EVENTS = 128, THREADS_MAX = 64 };

static size_t request_size; /* 0: echo */
static char reply[4096];
static size_t reply_size;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue; /* the load reads all the time: it will not last */
            return;
        }
        data += n;
        size -= (size_t)n;
    }
}

struct conn {
    int fd;
    size_t partial; /* bytes of a request that has not arrived whole */
};

struct loop {
    int epoll;
    char in[BUFFER];
    char out[BUFFER * 2];
};

/* Writes as many replies as whole requests have arrived. */
static void answer(struct loop *l, struct conn *c, size_t got)
{
    size_t count = (c->partial + got) / request_size;
    c->partial = (c->partial + got) % request_size;
    size_t used = 0;
    for (; count > 0; count--) {
        if (used + reply_size > sizeof l->out) {
            write_all(c->fd, l->out, used);
            used = 0;
        }
        memcpy(l->out + used, reply, reply_size);
        used += reply_size;
    }
    if (used > 0)
        write_all(c->fd, l->out, used);
}

static void serve(struct loop *l, struct conn *c)
{
    ssize_t n = read(c->fd, l->in, sizeof l->in);
    if (n > 0 && request_size == 0) {
        write_all(c->fd, l->in, (size_t)n);
    } else if (n > 0) {
        answer(l, c, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close(c->fd);
        free(c);
    }
}

static void *run_loop(void *arg)
{
    struct loop *l = arg;
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(l->epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            serve(l, events[i].data.ptr);
    }
    return NULL;
}

/* "$64" becomes a bulk string of 64 bytes; \r and \n are unescaped; the rest is taken as it is. */
static void set_reply(const char *text)
{
    if (text[0] == '$') {
        int n = atoi(text + 1);
        if (n < 0 || n > 4000) {
            fprintf(stderr, "bare_loop: bulk of %d bytes\n", n);
            exit(2);
        }
        reply_size = (size_t)snprintf(reply, sizeof reply, "$%d\r\n%0*d\r\n", n, n, 0);
        return;
    }
    for (; *text && reply_size < sizeof reply; text++) {
        char c = *text;
        if (c == '\\' && (text[1] == 'r' || text[1] == 'n'))
            c = *++text == 'r' ? '\r' : '\n';
        reply[reply_size++] = c;
    }
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 511) != 0)
        die("bare_loop: listen");
    return fd;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'},
                                            {"threads", 1, NULL, 't'},
                                            {"request", 1, NULL, 'q'},
                                            {"reply", 1, NULL, 'r'},
                                            {0}};
    int port = 0, threads = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p': port = atoi(optarg); break;
        case 't': threads = atoi(optarg); break;
        case 'q': request_size = (size_t)atol(optarg); break;
        case 'r': set_reply(optarg); break;
        default: return 2;
        }
    }
    if (port <= 0 || threads < 1 || threads > THREADS_MAX || (request_size > 0 && !reply_size)) {
        fprintf(stderr, "usage: bare_loop --port N [--threads N] [--request BYTES --reply TEXT]\n");
        return 2;
    }
    struct loop *loops[THREADS_MAX];
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        loops[i] = calloc(1, sizeof *loops[i]);
        if (!loops[i] || (loops[i]->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
            die("bare_loop");
        if (pthread_create(&thread, NULL, run_loop, loops[i]) != 0)
            die("bare_loop: thread");
    }
    int listener = listen_on(port);
    for (unsigned next = 0;; next++) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            die("bare_loop");
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(loops[next % (unsigned)threads]->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
            die("bare_loop: epoll_ctl");
    }
}
