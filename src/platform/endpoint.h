/* endpoint.h - who is at the two ends of a socket, in 20 bytes, and the options of a server's
 * connections. Any thread; never parks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum endpoint_family { ENDPOINT_UNKNOWN, ENDPOINT_UNIX, ENDPOINT_IPV4, ENDPOINT_IPV6 };

struct endpoint {
    uint8_t family;      /* enum endpoint_family */
    uint8_t address[16]; /* network order; IPv4 in the first four */
    uint16_t port;       /* host order */
};

enum { ENDPOINT_TEXT_MAX = 64 };

/* Unknown when the socket has none (any more). */
struct endpoint endpoint_peer(int fd);
struct endpoint endpoint_local(int fd);
/* "127.0.0.1:6379", "[::1]:6379", "?:0" for an unknown one; a unix socket has its path elsewhere and
 * gives "". Null-terminated; the size. */
size_t endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);
/* Only the address: "127.0.0.1", "::1", "?". */
size_t endpoint_format_ip(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX]);
/* 127.0.0.0/8, ::1, the same mapped, or a unix socket. */
bool endpoint_is_loopback(const struct endpoint *e);

/* TCP_NODELAY, and keepalive probes after keepalive_s idle seconds (0: none). Sockets that have no
 * such options stay as they are. */
void endpoint_tune(int fd, int keepalive_s);
