/* listening.c - see listening.h.
 *
 * An address of `bind` may begin with '-': then it does not matter if this machine has no such
 * address. '*' is every IPv4 address, '::*' every IPv6 one.
 */
#include "server/listening.h"

#include "platform/file.h"
#include "server/connection.h"
#include "server/server.h"
#include "server/text.h"

#include <tuco/go.h>
#include <tuco/mem.h>

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <unistd.h>

enum { TCP_MAX = CONFIG_BIND_MAX };

struct listening {
    tu_listener *tcp[TCP_MAX];
    size_t tcp_count;
    tu_listener *local; /* the unix socket; NULL: none */
};

struct listening *listening_new(void)
{
    return tu_alloc_zeroed(sizeof(struct listening));
}

/* Not being able to have it is no error for an optional address. */
static bool is_absent(int rc)
{
    return rc == -EADDRNOTAVAIL || rc == -ENOPROTOOPT || rc == -EPROTONOSUPPORT ||
           rc == -EAFNOSUPPORT || rc == -ESOCKTNOSUPPORT || rc == -EPFNOSUPPORT || rc == -ENOENT;
}

static int start_accepting(struct server *server, tu_listener *listener)
{
    int rc = tu_go(connection_accept_loop, server, tu_listener_retain(listener));
    if (rc < 0)
        tu_listener_release(listener);
    return rc;
}

/* One word of `bind`. 0 also when it was optional and absent. */
static int open_address(struct server *server, const struct config *config, struct slice word)
{
    struct listening *l = server->listening;
    char address[300];
    bool optional = word.size > 1 && word.data[0] == '-';
    if (optional)
        word.data++, word.size--;
    bool any6 = slice_equal(word, SLICE("::*")), any4 = slice_equal(word, SLICE("*"));
    struct slice host = any4 ? SLICE("0.0.0.0") : any6 ? SLICE("::") : word;
    bool v6 = memchr(host.data, ':', host.size) != NULL;
    if (host.size > 256)
        return -ENAMETOOLONG;
    (void)snprintf(address, sizeof address, v6 ? "[%.*s]:%d" : "%.*s:%d", (int)host.size, host.data,
                   (int)config->port);
    struct tu_listen_options options = {.backlog = (int)config->tcp_backlog, .v6_only = v6};
    tu_listener *listener;
    int rc = tu_listen(&listener, address, &options);
    if (rc == 0) {
        rc = start_accepting(server, listener);
        if (rc == 0)
            l->tcp[l->tcp_count++] = listener;
        else
            tu_listener_close(listener);
    }
    if (rc == 0 || (optional && is_absent(rc)))
        return 0;
    if (rc == -ENOENT)
        log_warning(
            "Warning: Could not create server TCP listening socket %.*s:%d: Name or service "
            "not known",
            (int)word.size, word.data, (int)config->port);
    else
        log_warning("Warning: Could not create server TCP listening socket %.*s:%d: bind: %s",
                    (int)word.size, word.data, (int)config->port, strerrordesc_np(-rc));
    return rc;
}

int listening_open_tcp(struct server *server, const struct config *config)
{
    struct words words;
    if (config->port == 0 || config->bind[0] == '\0')
        return 0;
    int rc = words_split(slice_of(config->bind), &words);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < words.count && i < TCP_MAX && rc == 0; i++)
        rc = open_address(server, config, words.items[i]);
    words_free(&words);
    if (rc != 0)
        listening_close_tcp(server);
    return rc;
}

/* Gives the socket's file to `unixsocketgroup`. */
static int set_group(const struct config *config)
{
    struct group found, *group = NULL;
    char buffer[4096];
    if (config->unixsocketgroup[0] == '\0')
        return 0;
    int rc = -getgrnam_r(config->unixsocketgroup, &found, buffer, sizeof buffer, &group);
    if (rc == 0 && group == NULL)
        rc = -ENOENT;
    if (rc == 0)
        rc = file_change_group(config->unixsocket, group->gr_gid);
    if (rc != 0)
        log_warning("Failed setting the group '%s' of the unix socket: %s", config->unixsocketgroup,
                    strerrordesc_np(-rc));
    return rc;
}

int listening_open_unix(struct server *server, const struct config *config)
{
    char address[300];
    if (config->unixsocket[0] == '\0')
        return 0;
    if ((size_t)snprintf(address, sizeof address, "unix:%s", config->unixsocket) >= sizeof address)
        return -ENAMETOOLONG;
    struct tu_listen_options options = {.backlog = (int)config->tcp_backlog,
                                        .unix_mode = config->unix_mode};
    tu_listener *listener;
    int rc = tu_listen(&listener, address, &options);
    if (rc == 0) {
        rc = set_group(config);
        if (rc == 0)
            rc = start_accepting(server, listener);
        if (rc == 0)
            server->listening->local = listener;
        else
            tu_listener_close(listener);
    }
    if (rc != 0)
        log_warning("Failed opening Unix socket: bind: %s", strerrordesc_np(-rc));
    return rc;
}

void listening_close_tcp(struct server *server)
{
    struct listening *l = server->listening;
    while (l->tcp_count > 0)
        tu_listener_close(l->tcp[--l->tcp_count]);
}

void listening_close_all(struct server *server)
{
    listening_close_tcp(server);
    if (server->listening->local != NULL)
        tu_listener_close(server->listening->local);
    server->listening->local = NULL;
}

bool listening_has_tcp(const struct server *server)
{
    return server->listening->tcp_count != 0;
}

bool listening_has_unix(const struct server *server)
{
    return server->listening->local != NULL;
}

void listening_describe(const struct server *server, const struct config *config, struct text *out)
{
    int number = 0;
    struct words words;
    if (listening_has_tcp(server) && words_split(slice_of(config->bind), &words) == 0) {
        text_addf(out, "listener%d:name=tcp", number++);
        for (size_t i = 0; i < words.count; i++)
            text_addf(out, ",bind=%s", words.items[i].data);
        text_addf(out, ",port=%d\r\n", (int)config->port);
        words_free(&words);
    }
    if (listening_has_unix(server))
        text_addf(out, "listener%d:name=unix,bind=%s\r\n", number, config->unixsocket);
}
