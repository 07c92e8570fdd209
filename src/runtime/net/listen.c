/* listen.c - listening, accepting and dialling. A listener is a conn that is only waited on, and that is not
 * recycled before the listener's last reference is dropped: so an accept that comes after the close finds
 * this conn, closed, and never another one's. */
#include "base/check.h"
#include "platform/endpoint.h"
#include "platform/socket.h"
#include "runtime/net/address.h"
#include "runtime/net/conn.h"

#include <tuco/mem.h>

struct tu_listener {
    struct tu_conn *conn; /* holds a reference to it */
    _Atomic uint32_t references;
};

int tu_listen(tu_listener **out, const char *address, const struct tu_listen_options *options)
{
    static const struct tu_listen_options defaults = {0};
    if (!options)
        options = &defaults;
    struct address_list list;
    int fd = tu__address_parse(address, true, &list);
    if (fd < 0)
        return fd;
    struct socket_listen_options raw = {options->backlog ? options->backlog : 511,
                                        options->reuse_port, options->v6_only, options->unix_mode};
    fd = -ENOENT;
    for (int i = 0; i < list.count && fd < 0; i++)
        fd = socket_listen((struct sockaddr *)&list.item[i], list.size[i], &raw);
    if (fd < 0)
        return fd;
    struct tu_listener *l = tu_alloc_zeroed(sizeof *l);
    int rc = l ? tu__conn_make(&l->conn, fd, tu__conn_next_proc()) : -ENOMEM;
    if (rc < 0) {
        (void)socket_close(fd);
        tu_free(l);
        return rc;
    }
    bool open = tu__conn_enter(l->conn);
    tu_check(open, "tu_listen: a new conn is closed");
    atomic_store_explicit(&l->references, 1, memory_order_relaxed);
    *out = l;
    return 0;
}

tu_listener *tu_listener_retain(tu_listener *listener)
{
    uint32_t before = atomic_fetch_add_explicit(&listener->references, 1, memory_order_relaxed);
    tu_check(before > 0, "tu_listener_retain of a listener that is gone");
    return listener;
}

void tu_listener_release(tu_listener *listener)
{
    /* acq_rel: what others did with the listener happened before it is freed */
    uint32_t before = atomic_fetch_sub_explicit(&listener->references, 1, memory_order_acq_rel);
    tu_check(before > 0, "tu_listener_release: released more often than retained");
    if (before > 1)
        return;
    tu__conn_leave(listener->conn);
    tu_free(listener);
}

int tu_accept(tu_listener *listener, tu_conn **out)
{
    struct tu_conn *l = listener->conn;
    if (!tu__conn_enter(l))
        return -EBADF;
    int fd, rc = 0;
    for (;;) {
        fd = socket_accept(l->fd);
        if (fd != -EAGAIN)
            break;
        atomic_store_explicit(&l->readable, false, memory_order_relaxed);
        fd = socket_accept(l->fd); /* what came before the level was cleared */
        if (fd != -EAGAIN)
            break;
        rc = tu__conn_wait(l, true);
        if (rc < 0)
            break;
    }
    tu__conn_leave(l);
    if (rc < 0)
        return rc;
    if (fd < 0)
        return fd;
    socket_nodelay(fd);
    rc = tu__conn_make(out, fd, tu__conn_next_proc());
    if (rc < 0)
        (void)socket_close(fd);
    return rc;
}

int tu_listener_fd(const tu_listener *listener)
{
    return listener->conn->fd;
}

int tu_listener_address(const tu_listener *listener, struct tu_address *out)
{
    _Static_assert(sizeof out->text >= ENDPOINT_TEXT_MAX, "an address does not fit");
    struct endpoint e = endpoint_local(listener->conn->fd);
    if (e.family != ENDPOINT_IPV4 && e.family != ENDPOINT_IPV6)
        return -EINVAL;
    (void)endpoint_format(&e, out->text);
    return 0;
}

void tu_listener_close(tu_listener *listener)
{
    tu_close(listener->conn);
    tu_listener_release(listener);
}

static int dial_one(tu_conn **out, const struct sockaddr *address, socklen_t size)
{
    int fd = socket_connect(address, size);
    if (fd < 0)
        return fd;
    tu_conn *c;
    int rc = tu__conn_make(&c, fd, tu__proc_index());
    if (rc < 0) {
        (void)socket_close(fd);
        return rc;
    }
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof peer;
    while (rc == 0 && getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0) {
        rc = socket_error(fd);
        if (rc == 0) {
            atomic_store_explicit(&c->writable, false, memory_order_relaxed);
            if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0)
                break;
            rc = tu__conn_wait(c, false);
        }
        if (rc == 0)
            rc = socket_error(fd);
    }
    atomic_store_explicit(&c->writable, true, memory_order_relaxed);
    if (rc < 0) {
        tu_close(c);
        return rc;
    }
    if (address->sa_family != AF_UNIX)
        socket_nodelay(fd);
    *out = c;
    return 0;
}

int tu_dial(tu_conn **out, const char *address)
{
    struct address_list list;
    int rc = tu__address_parse(address, false, &list);
    if (rc < 0)
        return rc;
    rc = -ENOENT;
    for (int i = 0; i < list.count; i++) {
        rc = dial_one(out, (struct sockaddr *)&list.item[i], list.size[i]);
        if (rc != -ECONNREFUSED && rc != -ENETUNREACH && rc != -EHOSTUNREACH)
            break;
    }
    return rc;
}
