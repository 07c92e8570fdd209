/* address.c - see address.h.
 *
 * getaddrinfo may block for as long as name servers are silent, cannot be interrupted, and wants more
 * stack than a goroutine has. So it runs as a pool job (sched/offload.h) on a `struct lookup` of its
 * own: a waiter whose context ends leaves at once and abandons it.
 *
 *   waiter                                    job
 *   1 references = 2, submits, waits          1 getaddrinfo
 *   2 woken by the job: takes what was found  2 tu__foreign_done
 *     woken by the context: withdraws it, or  3 drops its reference
 *     leaves it to itself
 *   3 drops its reference                     the last one frees
 *
 * An abandoned lookup keeps its thread until getaddrinfo returns; there are LOOKUP_LIMIT of those, and
 * who comes then waits in the queue, as long as its context lasts. Rejected: a resolver of our own
 * (nsswitch, mDNS, /etc/hosts and search domains are what people expect of a name).
 */
#include "runtime/net/address.h"

#include "runtime/sched/cancel.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/offload.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <tuco/mem.h>
#include <tuco/net.h>

struct target {
    char host[256], port[16];
    bool listening;
};

struct lookup {
    struct tu__job job;
    struct tu__foreign foreign; /* its result: getaddrinfo's */
    struct target target;
    struct addrinfo *found;
    _Atomic uint32_t references;
};

static int resolve(const struct target *t, int flags, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    if (t->listening)
        hints.ai_flags |= AI_PASSIVE;
    return getaddrinfo(t->host[0] ? t->host : NULL, t->port, &hints, found);
}

static void lookup_drop(struct lookup *l)
{
    /* acq_rel: what the other side did with it happened before it is freed */
    if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) != 1)
        return;
    if (l->found)
        freeaddrinfo(l->found);
    tu_free(l);
}

static void run_lookup(struct tu__job *job)
{
    struct lookup *l = (struct lookup *)job;
    tu__foreign_done(&l->foreign, resolve(&l->target, AI_NUMERICSERV, &l->found));
    lookup_drop(l);
}

/* Looks a name up on a pool thread: getaddrinfo's answer, in *rc, and what it found. 0, or -errno:
 * there is no answer. */
static int look_up(const struct target *t, int *rc, struct addrinfo **found)
{
    struct tu__cancel *cancel = tu__cancel_current();
    int error = cancel ? tu__cancel_error(cancel) : 0;
    if (error < 0)
        return error;
    struct lookup *l = tu_alloc_zeroed(sizeof *l);
    if (!l)
        return -ENOMEM;
    l->job.run = run_lookup;
    l->target = *t;
    atomic_store_explicit(&l->references, 2, memory_order_relaxed);
    tu__foreign_init(&l->foreign, TU__WAIT_RESOLVE);
    error = tu__offload_submit(&l->job, LANE_LOOKUP);
    bool alone = error < 0;
    if (!alone) {
        error = tu__foreign_wait(&l->foreign, true);
        alone = error < 0 && tu__offload_withdraw(&l->job);
    }
    if (alone)
        atomic_store_explicit(&l->references, 1, memory_order_relaxed); /* no job any more */
    if (error == 0) {
        *rc = (int)l->foreign.result;
        *found = l->found;
        l->found = NULL;
    }
    lookup_drop(l);
    return error;
}

static int error_of(int rc)
{
    switch (rc) {
    case 0: return 0;
    case EAI_AGAIN: return -EAGAIN;
    case EAI_MEMORY: return -ENOMEM;
    default: return -ENOENT;
    }
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

static int split(const char *text, struct target *t)
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
    if (host_size >= sizeof t->host || port_size == 0 || port_size > 5 ||
        strspn(port, "0123456789") != port_size || atoi(port) > 65535)
        return -EINVAL;
    memcpy(t->host, host, host_size);
    t->host[host_size] = 0;
    memcpy(t->port, port, port_size + 1);
    return 0;
}

int tu__address_parse(const char *text, bool listening, struct address_list *out)
{
    memset(out, 0, sizeof *out);
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    struct target target = {.listening = listening};
    int rc = split(text, &target);
    if (rc < 0)
        return rc;
    struct addrinfo *found = NULL;
    int answer = resolve(&target, AI_NUMERICHOST | AI_NUMERICSERV, &found);
    if (answer == EAI_NONAME && target.host[0]) {
        rc = look_up(&target, &answer, &found);
        if (rc < 0)
            return rc;
    }
    if (answer != 0)
        return error_of(answer);
    /* For a wildcard IPv6 comes first: that socket takes IPv4 as well. */
    for (int pass = 0; pass < 2; pass++)
        for (struct addrinfo *a = found; a && out->count < ADDRESSES_MAX; a = a->ai_next)
            if ((a->ai_family == AF_INET6) == (listening ? pass == 0 : pass == 1)) {
                memcpy(&out->item[out->count], a->ai_addr, a->ai_addrlen);
                out->size[out->count++] = a->ai_addrlen;
            }
    freeaddrinfo(found);
    return out->count ? 0 : -ENOENT;
}

static int format(const struct sockaddr_storage *item, socklen_t size, struct tu_address *out)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int rc = getnameinfo((const struct sockaddr *)item, size, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV);
    if (rc != 0)
        return error_of(rc);
    const char *shape = item->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s";
    int n = snprintf(out->text, sizeof out->text, shape, host, port);
    return n < (int)sizeof out->text ? 0 : -ENAMETOOLONG;
}

int tu_resolve(const char *address, struct tu_address *out, int capacity)
{
    struct address_list list;
    if (strncmp(address, "unix:", 5) == 0)
        return -EINVAL;
    int rc = tu__address_parse(address, false, &list);
    int count = 0;
    for (; rc == 0 && count < list.count && count < capacity; count++)
        rc = format(&list.item[count], list.size[count], &out[count]);
    return rc < 0 ? rc : count;
}
