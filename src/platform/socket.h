/* socket.h - socket system calls with negative errno results. None blocks: every descriptor made or
 * taken here is non-blocking and close-on-exec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct socket_listen_options {
    int backlog;
    bool reuse_port, v6_only;
    unsigned unix_mode; /* 0: as the umask leaves it */
};
/* A listening socket bound to `address`; for a unix path a stale socket file is removed first. The
 * descriptor or -errno. */
int socket_listen(const struct sockaddr *address, socklen_t size,
                  const struct socket_listen_options *options);
int socket_accept(int fd);
/* Starts connecting: the descriptor, or -errno; connected when writable, see socket_error. */
int socket_connect(const struct sockaddr *address, socklen_t size);
int socket_error(int fd);     /* 0 or -errno of the last asynchronous operation */
bool socket_writable(int fd); /* now */
int socket_nonblocking(int fd);
void socket_nodelay(int fd);
ssize_t socket_read(int fd, void *buffer, size_t size);
ssize_t socket_write(int fd, const void *buffer, size_t size); /* no SIGPIPE on sockets */
ssize_t socket_writev(int fd, const struct iovec *vec, int count);
int socket_close(int fd);
