/* socket.c - see socket.h. EINTR is retried here and nowhere else. */
#include "platform/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static void remove_stale(const struct sockaddr *address)
{
    const char *path = ((const struct sockaddr_un *)address)->sun_path;
    struct stat st;
    if (path[0] && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

int socket_listen(const struct sockaddr *address, socklen_t size,
                  const struct socket_listen_options *options)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (address->sa_family == AF_UNIX)
        remove_stale(address);
    else
        rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && options->reuse_port)
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && address->sa_family == AF_INET6)
        rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
    if (rc == 0 && bind(fd, address, size) < 0)
        rc = -errno;
    if (rc == 0 && listen(fd, options->backlog) < 0)
        rc = -errno;
    if (rc == 0 && address->sa_family == AF_UNIX && options->unix_mode &&
        chmod(((const struct sockaddr_un *)address)->sun_path, options->unix_mode) < 0)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

int socket_accept(int fd)
{
    for (;;) {
        int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0)
            return accepted;
        if (errno != EINTR && errno != ECONNABORTED)
            return -errno;
    }
}

int socket_connect(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, address, size) < 0 && errno != EINPROGRESS && errno != EINTR) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

bool socket_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1;
}

int socket_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

void socket_nodelay(int fd)
{
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

ssize_t socket_read(int fd, void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = read(fd, buffer, size);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t socket_write(int fd, const void *buffer, size_t size)
{
    for (;;) {
        ssize_t n = send(fd, buffer, size, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(fd, buffer, size);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t socket_writev(int fd, const struct iovec *vec, int count)
{
    for (;;) {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vec,
                                 .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = writev(fd, vec, count);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

int socket_close(int fd)
{
    return close(fd) < 0 ? -errno : 0;
}
