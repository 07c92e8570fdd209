/* address.c - see address.h. getaddrinfo may block for seconds and wants more stack than a goroutine
 * has, so it runs on a thread made for it. */
#include "runtime/net/address.h"

#include "platform/thread.h"
#include "runtime/sched/park.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

struct lookup {
    char host[256], port[16];
    bool listening;
    struct addrinfo *found;
    int rc; /* of getaddrinfo */
    struct tu__sleeper sleeper;
};

static void resolve(struct lookup *l, int flags)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    if (l->listening)
        hints.ai_flags |= AI_PASSIVE;
    l->rc = getaddrinfo(l->host[0] ? l->host : NULL, l->port, &hints, &l->found);
}

static void *resolver_thread(void *arg)
{
    struct lookup *l = arg;
    resolve(l, AI_NUMERICSERV);
    if (tu__sleeper_claim(&l->sleeper, 1))
        tu__sleeper_wake(&l->sleeper);
    return NULL;
}

static int parse_unix(const char *path, struct address_list *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->item[0];
    if (strlen(path) >= sizeof un->sun_path)
        return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    out->size[0] = sizeof *un;
    out->count = 1;
    return 0;
}

static int split(const char *text, struct lookup *l)
{
    const char *host = text, *end, *port;
    if (text[0] == '[') {
        host = text + 1;
        end = strchr(host, ']');
        if (!end || end[1] != ':')
            return -EINVAL;
        port = end + 2;
    } else {
        end = strrchr(text, ':');
        if (!end || memchr(text, ':', (size_t)(end - text)))
            return -EINVAL;
        port = end + 1;
    }
    size_t host_size = (size_t)(end - host), port_size = strlen(port);
    if (host_size >= sizeof l->host || port_size == 0 || port_size > 5 ||
        strspn(port, "0123456789") != port_size || atoi(port) > 65535)
        return -EINVAL;
    memcpy(l->host, host, host_size);
    l->host[host_size] = 0;
    memcpy(l->port, port, port_size + 1);
    return 0;
}

int tu__address_parse(const char *text, bool listening, struct address_list *out)
{
    memset(out, 0, sizeof *out);
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    struct lookup l = {.listening = listening};
    int rc = split(text, &l);
    if (rc < 0)
        return rc;
    resolve(&l, AI_NUMERICHOST | AI_NUMERICSERV);
    if (l.rc == EAI_NONAME && l.host[0]) {
        tu__sleeper_init(&l.sleeper, true);
        rc = thread_start(resolver_thread, &l, 256 << 10, "tuco-resolver");
        if (rc < 0)
            return rc;
        (void)tu__sleeper_park(&l.sleeper, NULL, NULL, TU__WAIT_RESOLVE);
    }
    if (l.rc != 0)
        return l.rc == EAI_AGAIN ? -EAGAIN : l.rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
    /* For a wildcard IPv6 comes first: that socket takes IPv4 as well. */
    for (int pass = 0; pass < 2; pass++)
        for (struct addrinfo *a = l.found; a && out->count < ADDRESSES_MAX; a = a->ai_next)
            if ((a->ai_family == AF_INET6) == (listening ? pass == 0 : pass == 1)) {
                memcpy(&out->item[out->count], a->ai_addr, a->ai_addrlen);
                out->size[out->count++] = a->ai_addrlen;
            }
    freeaddrinfo(l.found);
    return out->count ? 0 : -ENOENT;
}
