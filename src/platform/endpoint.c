/* endpoint.c - addresses are kept in binary because a server holds two for each of many idle
 * connections and prints them rarely.
 */
#include "platform/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct endpoint from_sockaddr(const struct sockaddr_storage *storage)
{
    struct endpoint e = {0};
    if (storage->ss_family == AF_UNIX) {
        e.family = ENDPOINT_UNIX;
    } else if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)storage;
        e.family = ENDPOINT_IPV4;
        e.port = ntohs(in->sin_port);
        memcpy(e.address, &in->sin_addr, 4);
    } else if (storage->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)storage;
        e.port = ntohs(in->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            e.family = ENDPOINT_IPV4;
            memcpy(e.address, in->sin6_addr.s6_addr + 12, 4);
        } else {
            e.family = ENDPOINT_IPV6;
            memcpy(e.address, &in->sin6_addr, 16);
        }
    }
    return e;
}

struct endpoint endpoint_peer(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &size) != 0)
        return (struct endpoint){0};
    return from_sockaddr(&storage);
}

struct endpoint endpoint_local(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &size) != 0)
        return (struct endpoint){0};
    return from_sockaddr(&storage);
}

size_t endpoint_format_ip(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    const char *text = NULL;
    if (e->family == ENDPOINT_IPV4)
        text = inet_ntop(AF_INET, e->address, out, ENDPOINT_TEXT_MAX);
    else if (e->family == ENDPOINT_IPV6)
        text = inet_ntop(AF_INET6, e->address, out, ENDPOINT_TEXT_MAX);
    if (!text)
        snprintf(out, ENDPOINT_TEXT_MAX, "%s", e->family == ENDPOINT_UNIX ? "" : "?");
    return strlen(out);
}

size_t endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    char ip[ENDPOINT_TEXT_MAX];
    endpoint_format_ip(e, ip);
    if (e->family == ENDPOINT_UNIX)
        out[0] = '\0';
    else if (e->family == ENDPOINT_IPV6)
        snprintf(out, ENDPOINT_TEXT_MAX, "[%.46s]:%u", ip, e->port);
    else
        snprintf(out, ENDPOINT_TEXT_MAX, "%.46s:%u", ip, e->port);
    return strlen(out);
}

bool endpoint_is_loopback(const struct endpoint *e)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    switch (e->family) {
    case ENDPOINT_UNIX: return true;
    case ENDPOINT_IPV4: return e->address[0] == 127;
    case ENDPOINT_IPV6: return memcmp(e->address, loopback6, sizeof loopback6) == 0;
    default: return false;
    }
}

void endpoint_tune(int fd, int keepalive_s)
{
    int yes = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 || keepalive_s <= 0)
        return;
    int interval = keepalive_s / 3 > 0 ? keepalive_s / 3 : 1, count = 3;
    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) != 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}
