/* net.h - sockets that park the goroutine instead of the thread, and tu_serve.
 *
 * A tu_conn owns a non-blocking descriptor that is registered once, edge-triggered, with the
 * poller of one P. One goroutine may read while another writes; two readers at once are a
 * programmer's error. Blocking calls honour the conn's deadlines and the current context:
 * -ETIMEDOUT, -ECANCELED. tu_close makes every pending call give -EBADF; a call that begins later does
 * so, too, but only until the memory serves another connection, so nobody should.
 *
 * tu_serve is for servers with many idle connections: the handler runs on a pooled stack only
 * while there is something to do, and an idle connection costs no stack.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>
#include <tuco/base.h>

TU_BEGIN_DECLS

typedef struct tu_conn tu_conn;         /* a connected stream socket */
typedef struct tu_listener tu_listener; /* a listening socket */

/* Addresses: "127.0.0.1:6379", "[::1]:6379", ":6379" (all of IPv4 and IPv6), "unix:/path". Host
 * names are resolved with getaddrinfo on a pool thread. Port 0 picks one. */
struct tu_listen_options {
    int backlog;        /* 0: 511 */
    bool reuse_port;    /* SO_REUSEPORT */
    bool v6_only;       /* IPV6_V6ONLY for an IPv6 address */
    unsigned unix_mode; /* permissions of a unix socket's file, 0: leave them */
};
TU_API TU_MUST_CHECK int tu_listen(tu_listener **out, const char *address,
                                   const struct tu_listen_options *options);
/* Waits for a connection. 0 and *out, or -errno (-EMFILE, -ENFILE: nothing was accepted). May park. */
TU_API TU_MUST_CHECK int tu_accept(tu_listener *listener, tu_conn **out);
TU_API int tu_listener_fd(const tu_listener *listener); /* stays the listener's */
/* Stops listening, once: accepts, parked ones and later ones, return -EBADF. Drops a reference, that of
 * tu_listen; the last one frees. */
TU_API void tu_listener_close(tu_listener *listener);
/* For a goroutine that goes on accepting while another may close: it holds a reference of its own.
 *     tu_go(accept_loop, tu_listener_retain(listener));    and at its end: tu_listener_release(listener) */
TU_API tu_listener *tu_listener_retain(tu_listener *listener);
TU_API void tu_listener_release(tu_listener *listener);

/* A numeric address that tu_dial takes: "192.0.2.1:80", "[2001:db8::1]:80". */
struct tu_address {
    char text[80];
};
/* Where the listener listens, with the port that was picked for port 0. 0, or -EINVAL: a unix socket, which is where it
 * was told to be. Never parks. */
TU_API TU_MUST_CHECK int tu_listener_address(const tu_listener *listener, struct tu_address *out);
/* What tu_dial would try for `address`, in its order: the number of addresses written to out, at most
 * `capacity` (and 8), or -EINVAL (malformed, or a unix path), -ENOENT (no such host), -EAGAIN (the
 * name server does not answer now, or no thread), -ENOMEM, or the current context's error. A lookup
 * cannot be interrupted: when the context ends, the call returns and leaves it to itself on its pool
 * thread. At most 16 lookups run at once; others wait for them. May park. */
TU_API TU_MUST_CHECK int tu_resolve(const char *address, struct tu_address *out, int capacity);

/* Resolves (as tu_resolve) and connects to the first address that answers. 0, -ECONNREFUSED, another
 * errno of connect(2) or of tu_resolve, or the current context's error. May park. */
TU_API TU_MUST_CHECK int tu_dial(tu_conn **out, const char *address);
/* Takes over a descriptor of any pollable kind (socket, pipe) and makes it non-blocking. The conn
 * owns it on success. */
TU_API TU_MUST_CHECK int tu_conn_from_fd(tu_conn **out, int fd);
TU_API int tu_conn_fd(const tu_conn *conn); /* stays the conn's */

/* Reads at least one byte: the count, 0 at the end, or -errno. May park. */
TU_API TU_MUST_CHECK ssize_t tu_read(tu_conn *conn, void *buffer, size_t size);
/* Writes all of it: `size`, or -errno (some of it may have been sent). May park. */
TU_API TU_MUST_CHECK ssize_t tu_write(tu_conn *conn, const void *buffer, size_t size);
TU_API TU_MUST_CHECK ssize_t tu_writev(tu_conn *conn, const struct iovec *vec, int count);
/* As read and write, but -EAGAIN instead of parking; writes may be short. Never park. */
TU_API TU_MUST_CHECK ssize_t tu_try_read(tu_conn *conn, void *buffer, size_t size);
TU_API TU_MUST_CHECK ssize_t tu_try_write(tu_conn *conn, const void *buffer, size_t size);
TU_API TU_MUST_CHECK ssize_t tu_try_writev(tu_conn *conn, const struct iovec *vec, int count);
/* Deadlines on the tu_now() clock for calls from now on, also for one that is parked; 0: none. */
TU_API void tu_set_read_deadline(tu_conn *conn, int64_t deadline_ns);
TU_API void tu_set_write_deadline(tu_conn *conn, int64_t deadline_ns);
/* Closes and frees. Whoever is parked on it gets -EBADF. Not inside its own tu_serve handler:
 * return TU_SERVE_CLOSE there. */
TU_API void tu_close(tu_conn *conn);

/* "epoll" or "io_uring": what tells of readiness; "none" before tu_start. io_uring is used where the
 * environment says TUCO_NET=uring and the kernel allows it. Never parks. */
TU_API const char *tu_net_backend(void);

/* ---- stackless serving ---- */
enum tu_serve_event {
    TU_SERVE_READABLE = 1, /* bytes, the end of the stream, or an error may be read */
    TU_SERVE_WRITABLE = 2, /* room again after a tu_try_write that gave -EAGAIN or was short */
    TU_SERVE_WOKEN = 4,    /* tu_serve_wake was called */
};
enum tu_serve_next {
    TU_SERVE_WAIT,  /* drained (short read or -EAGAIN): call me at the next event */
    TU_SERVE_AGAIN, /* there may be more: call me again after the others had their turn */
    TU_SERVE_CLOSE, /* finished: close the conn; `closed` is then called with the state */
};
/* `events` is a set of tu_serve_event. Runs as a goroutine: it may park, but then it holds a stack.
 * Never runs twice at once for one conn. Successive calls may be on different threads. */
typedef enum tu_serve_next (*tu_serve_fn)(tu_conn *conn, unsigned events, void *state);
struct tu_serve_options {
    tu_serve_fn handler;
    void (*closed)(void *state); /* after the conn is gone, on a goroutine; may be NULL */
    void *state;
};
/* Hands the conn over to the handler, which is first called at once if bytes are waiting. 0 or
 * -errno; the conn stays the caller's on error. */
TU_API TU_MUST_CHECK int tu_serve(tu_conn *conn, const struct tu_serve_options *options);
/* Makes the handler run (again) with TU_SERVE_WOKEN. From any thread, also inside the handler. The
 * caller guarantees that the conn has not yet been closed. Never parks. */
TU_API void tu_serve_wake(tu_conn *conn);

TU_END_DECLS
