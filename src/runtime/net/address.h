/* address.h - "host:port", "[v6]:port", ":port", "unix:/path" to socket addresses. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 8 };
struct address_list {
    int count;
    struct sockaddr_storage item[ADDRESSES_MAX];
    socklen_t size[ADDRESSES_MAX];
};
/* 0, -EINVAL (malformed), -ENAMETOOLONG, -ENOENT (no such host), -EAGAIN (try the resolver later),
 * -ENOMEM, or the current context's error. An empty host is the wildcard for listening (IPv6 first),
 * loopback for dialling. May park: names that are not numeric are looked up on a pool thread. */
int tu__address_parse(const char *text, bool listening, struct address_list *out);
