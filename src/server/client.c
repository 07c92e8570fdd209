/* client.c - the life of a client and how it is described.
 *
 * What others may read of a client is atomic and written by its owner without locked instructions;
 * buffers are the owner's alone, so their sizes are copied to shared fields once per run of the
 * handler (client_publish), not at each change.
 */
#include "server/client.h"

#include "server/blocked.h"
#include "server/client_registry.h"
#include "server/command.h"
#include "server/multi.h"
#include "server/server.h"
#include "server/text.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>
#include <tuco/mem.h>

struct client *client_new(struct server *server, tu_conn *conn, int64_t now_ms)
{
    struct client *c = tu_alloc_zeroed(sizeof *c);
    if (!c)
        return NULL;
    c->server = server;
    c->conn = conn;
    c->created_ms = now_ms;
    if (conn) {
        c->peer = endpoint_peer(tu_conn_fd(conn));
        c->local = endpoint_local(tu_conn_fd(conn));
    }
    uint32_t flags = c->local.family == ENDPOINT_UNIX ? CLIENT_UNIX : 0;
    const struct config *config = config_pin_refresh(&server->config, &c->pin);
    if (config->requirepass[0] == '\0')
        flags |= CLIENT_AUTHENTICATED;
    client_store(c->flags, flags);
    client_store(c->protocol, 2);
    client_store(c->queued, -1);
    client_store(c->last_ms, now_ms);
    return c;
}

static void free_input(struct client *c)
{
    if (!c->input)
        return;
    resp_parser_release(&c->input->parser);
    tu_free(c->input->bytes);
    tu_free(c->input);
    c->input = NULL;
}

void client_free(struct client *c)
{
    if (watch_any(&c->watcher))
        watch_clear(&c->watcher, c->server->keyspace);
    multi_discard(c);
    blocked_free(c);
    free_input(c);
    output_release(&c->output);
    config_pin_release(&c->server->config, &c->pin);
    tu_free(c->name);
    tu_free(c->library);
    tu_free(c->library_version);
    tu_free(c);
}

void client_publish(struct client *c, int64_t now_ms)
{
    size_t input = 0;
    if (c->input)
        input = c->input->capacity + resp_parser_memory(&c->input->parser);
    client_store(c->input_bytes, input);
    client_store(c->output_bytes, c->output.bytes);
    client_store(c->output_blocks, c->output.blocks);
    client_store(c->watched, c->watcher.count);
    client_store(c->multi_bytes, multi_memory(c->multi));
    client_store(c->last_ms, now_ms);
}

bool client_needs_auth(const struct client *c, const struct config *config)
{
    return !(client_flags(c) & CLIENT_AUTHENTICATED) && config->requirepass[0] != '\0';
}

void client_reset(struct client *c)
{
    const struct config *config = config_pin_refresh(&c->server->config, &c->pin);
    multi_discard(c);
    if (watch_any(&c->watcher))
        watch_clear(&c->watcher, c->server->keyspace);
    client_set_flags(c, 0,
                     CLIENT_AUTHENTICATED | CLIENT_NO_TOUCH | CLIENT_NO_EVICT | CLIENT_REPLY_OFF |
                         CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT | CLIENT_CAPA_REDIRECT |
                         CLIENT_READONLY);
    if (config->requirepass[0] == '\0')
        client_set_flags(c, CLIENT_AUTHENTICATED, 0);
    client_store(c->db, 0);
    client_set_flags(c, 0, CLIENT_IMPORT_SOURCE);
    client_store(c->protocol, 2);
    bool removed = client_set_string(c, CLIENT_NAME, (struct slice){0});
    tu_check(removed, "removing a client's name needs no memory");
}

bool client_name_ok(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    }
    return true;
}

bool client_set_string(struct client *c, enum client_string which, struct slice text)
{
    char *copy = NULL;
    if (text.size > 0) {
        copy = tu_alloc(text.size + 1);
        if (!copy)
            return false;
        memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    char **field = which == CLIENT_NAME      ? &c->name
                   : which == CLIENT_LIBRARY ? &c->library
                                             : &c->library_version;
    struct client_registry *registry = c->server->clients;
    tu__lock(&registry->lock);
    char *old = *field;
    *field = copy;
    tu__unlock(&registry->lock);
    tu_free(old);
    return true;
}

/* ---- description ---- */

void client_flag_letters(const struct client *c, char out[16])
{
    uint32_t flags = client_flags(c);
    char *to = out;
    if (flags & CLIENT_MULTI)
        *to++ = 'x';
    if (blocked_is_waiting(c) || (flags & CLIENT_PAUSED))
        *to++ = 'b';
    if (atomic_load_explicit(&c->watcher.dirty, memory_order_relaxed))
        *to++ = 'd';
    if (flags & CLIENT_CLOSE_AFTER_REPLY)
        *to++ = 'c';
    if ((flags & CLIENT_CLOSE_NOW) || client_load(c->killed))
        *to++ = 'A';
    if (flags & CLIENT_UNIX)
        *to++ = 'U';
    if (flags & CLIENT_READONLY)
        *to++ = 'r';
    if (flags & CLIENT_NO_EVICT)
        *to++ = 'e';
    if (flags & CLIENT_IMPORT_SOURCE)
        *to++ = 'I';
    if (flags & CLIENT_NO_TOUCH)
        *to++ = 'T';
    if (to == out)
        *to++ = 'N';
    *to = '\0';
}

void client_address(const struct client *c, bool local, struct text *out)
{
    char text[ENDPOINT_TEXT_MAX];
    const struct endpoint *e = local ? &c->local : &c->peer;
    if (client_flags(c) & CLIENT_UNIX) {
        struct config_pin pin = {0}; /* c's own pin belongs to its owner */
        text_addf(out, "%s:0", config_pin_refresh(&c->server->config, &pin)->unixsocket);
        config_pin_release(&c->server->config, &pin);
        return;
    }
    text_add(out, (struct slice){text, endpoint_format(e, text)});
}

size_t client_memory(const struct client *c)
{
    return sizeof *c + client_load(c->input_bytes) + client_load(c->output_bytes) +
           client_load(c->multi_bytes) + client_load(c->watched) * (size_t)64 + blocked_memory(c);
}

static const char *or_empty(const char *string, bool redact)
{
    return redact && string ? "*redacted*" : string ? string : "";
}

void client_describe(const struct client *c, int64_t now_ms, bool redact, struct text *out)
{
    char letters[16];
    client_flag_letters(c, letters);
    int64_t age = (now_ms - c->created_ms) / 1000, idle = (now_ms - client_load(c->last_ms)) / 1000;
    const struct command *command = client_load(c->command);
    uint64_t omem = client_load(c->output_bytes);
    int queued = client_load(c->queued);
    if (queued < 0 && client_load(c->watched) > 0)
        queued = 0; /* Redis counts a client that watches as about to begin */
    text_addf(out, "id=%llu addr=", (unsigned long long)c->id);
    client_address(c, false, out);
    text_addf(out, " laddr=");
    client_address(c, true, out);
    text_addf(out, " fd=%d name=%s age=%lld idle=%lld flags=%s capa=%s db=%u sub=0 psub=0 ssub=0",
              c->conn ? tu_conn_fd(c->conn) : -1, or_empty(c->name, redact),
              (long long)(age < 0 ? 0 : age), (long long)(idle < 0 ? 0 : idle), letters,
              client_flags(c) & CLIENT_CAPA_REDIRECT ? "r" : "", client_db(c));
    text_addf(out, " multi=%d watch=%u qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=%llu rbs=0 rbp=0",
              queued, client_load(c->watched), (unsigned long long)client_load(c->input_bytes),
              (unsigned long long)client_load(c->multi_bytes));
    text_addf(out, " obl=0 oll=%u omem=%llu tot-mem=%zu events=%s cmd=%s user=%s redir=-1 resp=%u",
              client_load(c->output_blocks), (unsigned long long)omem, client_memory(c),
              omem ? "rw" : "r", command ? command_full_name(command) : "NULL",
              redact ? "*redacted*" : "default", client_load(c->protocol));
    text_addf(out, " lib-name=%s lib-ver=%s tot-net-in=%llu tot-net-out=%llu tot-cmds=%llu",
              or_empty(c->library, false), or_empty(c->library_version, false),
              (unsigned long long)client_load(c->net_input),
              (unsigned long long)client_load(c->net_output),
              (unsigned long long)client_load(c->commands));
}
