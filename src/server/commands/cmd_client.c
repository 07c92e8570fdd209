/* cmd_client.c - CLIENT and its subcommands.
 *
 * LIST and KILL walk the registry under its lock, so that no client can leave meanwhile. The filters
 * are read by client_filter.c, because their ids are a list of any length and each mistake has a text
 * of its own; the grammars below are their documentation.
 */
#include "server/commands/cmd_client.h"

#include "server/arguments.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/client_filter.h"
#include "server/client_registry.h"
#include "server/commands/handler.h"
#include "server/pause.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"
#include "store/keyspace.h"

#include "base/number.h"

bool client_command_any_words(const struct command *command, const struct slice *argv, size_t argc,
                              struct args *out, const char **error)
{
    return true;
}

static bool is_word(struct slice s, const char *word)
{
    return slice_equal_nocase(s, slice_of(word));
}

/* ---- about the caller ---- */

static void client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->client->id);
}

static void client_getname(struct call *call)
{
    if (call->client->name)
        reply_bulk_string(call->reply, call->client->name);
    else
        reply_null(call->reply);
}

bool client_command_set_name(struct call *call, struct slice name)
{
    if (!client_name_ok(name)) {
        reply_error(call->reply, ERR_CLIENT_NAME);
        return false;
    }
    if (!client_set_string(call->client, CLIENT_NAME, name)) {
        reply_error(call->reply, ERR_NO_MEMORY);
        return false;
    }
    return true;
}

static void client_setname(struct call *call)
{
    if (client_command_set_name(call, call->argv[2]))
        reply_ok(call->reply);
}

static void client_setinfo(struct call *call)
{
    struct slice option = call->argv[2], value = call->argv[3];
    bool name = is_word(option, "LIB-NAME");
    if (!name && !is_word(option, "LIB-VER")) {
        reply_errorf(call->reply, "ERR Unrecognized option '%.*s'",
                     option.size < 128 ? (int)option.size : 128, option.data);
        return;
    }
    if (!client_name_ok(value)) {
        reply_errorf(call->reply, "ERR %.*s cannot contain spaces, newlines or special characters.",
                     (int)option.size, option.data); /* as it was spelt */
        return;
    }
    if (client_set_string(call->client, name ? CLIENT_LIBRARY : CLIENT_LIBRARY_VERSION, value))
        reply_ok(call->reply);
    else
        reply_error(call->reply, ERR_NO_MEMORY);
}

static void client_info(struct call *call)
{
    struct text line = {0};
    client_describe(call->client, call->tx->now_ms, false, &line);
    text_add(&line, SLICE("\n"));
    if (line.failed)
        reply_error(call->reply, ERR_NO_MEMORY);
    else
        reply_verbatim(call->reply, "txt", text_slice(&line));
    text_free(&line);
}

static void client_getredir(struct call *call)
{
    reply_integer(call->reply, -1);
}

/* A capability that is not known is not an error: newer clients may claim newer ones. */
static void client_capa(struct call *call)
{
    for (size_t i = 2; i < call->argc; i++) {
        if (is_word(call->argv[i], "redirect"))
            client_set_flags(call->client, CLIENT_CAPA_REDIRECT, 0);
    }
    reply_ok(call->reply);
}

static void set_switch(struct call *call, uint32_t flag)
{
    if (is_word(call->argv[2], "on")) {
        client_set_flags(call->client, flag, 0);
    } else if (is_word(call->argv[2], "off")) {
        client_set_flags(call->client, 0, flag);
    } else {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    reply_ok(call->reply);
}

static void client_no_evict(struct call *call)
{
    set_switch(call, CLIENT_NO_EVICT);
}

static void client_no_touch(struct call *call)
{
    set_switch(call, CLIENT_NO_TOUCH);
}

static void client_import_source(struct call *call)
{
    if (!handler_config(call)->import_mode && !is_word(call->argv[2], "off"))
        reply_error(call->reply, ERR_NO_IMPORT_MODE);
    else
        set_switch(call, CLIENT_IMPORT_SOURCE);
}

/* Keys are not tracked for anybody. */
static void client_trackinginfo(struct call *call)
{
    struct reply *r = call->reply;
    reply_map(r, 3);
    reply_bulk_string(r, "flags");
    reply_set(r, 1);
    reply_bulk_string(r, "off");
    reply_bulk_string(r, "redirect");
    reply_integer(r, -1);
    reply_bulk_string(r, "prefixes");
    reply_array(r, 0);
}

/* The dispatcher drops replies while the flags say so. */
static void client_reply(struct call *call)
{
    struct slice mode = call->argv[2];
    struct client *c = call->client;
    if (is_word(mode, "on")) {
        client_set_flags(c, 0, CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
        reply_ok(call->reply);
    } else if (is_word(mode, "off")) {
        client_set_flags(c, CLIENT_REPLY_OFF, 0);
    } else if (is_word(mode, "skip")) {
        if (!(client_flags(c) & CLIENT_REPLY_OFF))
            client_set_flags(c, CLIENT_REPLY_SKIP_NEXT, 0);
    } else {
        reply_error(call->reply, ERR_SYNTAX);
    }
}

/* ---- about others ---- */

struct walk {
    const struct client_filter *filter;
    struct client *me;
    int64_t now_ms;
    struct text *text; /* LIST */
    int64_t killed;    /* KILL */
};

static bool list_one(void *context, struct client *c)
{
    struct walk *walk = context;
    if (client_filter_match(walk->filter, c, walk->me, walk->now_ms)) {
        client_describe(c, walk->now_ms, false, walk->text);
        text_add(walk->text, SLICE("\n"));
    }
    return !walk->text->failed;
}

static void client_list(struct call *call)
{
    struct client_filter filter = {0};
    struct text text = {0};
    char room[256];
    const char *error;
    struct walk walk = {
        .filter = &filter, .me = call->client, .now_ms = call->tx->now_ms, .text = &text};
    if (!client_filter_parse(&filter, call->server, keyspace_databases(call->server->keyspace),
                             call->argv, call->argc, 2, room, &error)) {
        reply_error(call->reply, error);
    } else {
        client_registry_each(call->server->clients, list_one, &walk);
        if (text.failed)
            reply_error(call->reply, ERR_NO_MEMORY);
        else
            reply_verbatim(call->reply, "txt", text_slice(&text));
    }
    text_free(&text);
    client_filter_release(&filter);
}

static bool kill_one(void *context, struct client *c)
{
    struct walk *walk = context;
    if (!client_filter_match(walk->filter, c, walk->me, walk->now_ms) || client_load(c->killed))
        return true;
    walk->killed++;
    if (c == walk->me)
        client_set_flags(c, CLIENT_CLOSE_AFTER_REPLY, 0);
    else
        client_registry_kill(c);
    return true;
}

/* CLIENT KILL addr: the old form, one client, which may be the caller. */
static void kill_address(struct call *call, struct walk *walk, struct client_filter *filter)
{
    filter->want.given = 1u << FILTER_ADDR;
    filter->want.text[FILTER_ADDR] = call->argv[2];
    client_registry_each(call->server->clients, kill_one, walk);
    if (walk->killed > 0)
        reply_ok(call->reply);
    else
        reply_error(call->reply, ERR_NO_CLIENT);
}

static void client_kill(struct call *call)
{
    struct client_filter filter = {.skip_me = call->argc > 3};
    struct walk walk = {.filter = &filter, .me = call->client, .now_ms = call->tx->now_ms};
    char room[256];
    const char *error;
    if (call->argc == 3) {
        kill_address(call, &walk, &filter);
        return;
    }
    if (client_filter_parse(&filter, call->server, keyspace_databases(call->server->keyspace),
                            call->argv, call->argc, 2, room, &error)) {
        client_registry_each(call->server->clients, kill_one, &walk);
        reply_integer(call->reply, walk.killed);
    } else {
        reply_error(call->reply, error);
    }
    client_filter_release(&filter);
}

/* ---- pausing ---- */

static void client_pause(struct call *call)
{
    enum pause_actions actions = PAUSE_ALL;
    int64_t timeout_ms;
    if (call->argc == 4 && is_word(call->argv[3], "write")) {
        actions = PAUSE_WRITE;
    } else if (call->argc == 4 && !is_word(call->argv[3], "all")) {
        reply_error(call->reply, ERR_PAUSE_MODE);
        return;
    }
    if (!handler_timeout_ms(call, call->argv[2], &timeout_ms))
        return;
    pause_begin(call->server->pause, actions, timeout_ms);
    reply_ok(call->reply);
}

static void client_unpause(struct call *call)
{
    pause_end(call->server->pause);
    reply_ok(call->reply);
}

struct unblocking {
    int64_t id;
    bool error, done;
};

static bool unblock_one(void *context, struct client *c)
{
    struct unblocking *u = context;
    if ((int64_t)c->id != u->id)
        return true;
    u->done = blocked_unblock(c, u->error);
    return false;
}

static void client_unblock(struct call *call)
{
    struct unblocking u = {0};
    if (call->argc == 4) {
        u.error = is_word(call->argv[3], "error");
        if (!u.error && !is_word(call->argv[3], "timeout")) {
            reply_error(call->reply, ERR_UNBLOCK_REASON);
            return;
        }
    }
    if (!number_parse_int64(call->argv[2], &u.id)) {
        reply_error(call->reply, ERR_NOT_INTEGER);
        return;
    }
    client_registry_each(call->server->clients, unblock_one, &u);
    reply_integer(call->reply, u.done);
}

/* ---- help ---- */

static void client_help(struct call *call)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAPA <capability> [<capability> ...]",
        "    Say what this client can do. Known: REDIRECT.",
        "GETNAME",
        "    Show this connection's name.",
        "GETREDIR",
        "    Show which client gets this one's invalidation messages; -1: none.",
        "ID",
        "    Show this connection's number.",
        "INFO",
        "    Describe this connection.",
        "IMPORT-SOURCE (ON|OFF)",
        "    While import-mode is on, let this connection see keys whose time is over.",
        "KILL <ip:port>",
        "    Close the connection that comes from this address.",
        "KILL <filter> <value> [<filter> <value> ...]",
        "    Close the connections for which all filters hold, except this one unless SKIPME is "
        "NO.",
        "    ID <id> [<id> ...], TYPE, USER, ADDR, LADDR, IP, NAME, FLAGS, DB, CAPA, LIB-NAME and",
        "    LIB-VER: those that have it; with NOT- in front: those that have not.",
        "    MAXAGE <s>, IDLE <s>: at least that old, idle for at least that long.",
        "LIST [<filter> <value> ...]",
        "    Describe the connections for which all filters hold; filters as for KILL.",
        "NO-EVICT (ON|OFF)",
        "    Protect this connection from being closed to save memory.",
        "NO-TOUCH (ON|OFF)",
        "    Let this connection's reads leave the access clocks of keys alone.",
        "PAUSE <ms> [WRITE|ALL]",
        "    Let commands that change data, or all, wait for so long.",
        "REPLY (ON|OFF|SKIP)",
        "    Say whether this connection wants replies.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Tell which client library this is.",
        "SETNAME <name>",
        "    Name this connection.",
        "TRACKINGINFO",
        "    Show how this connection's keys are tracked.",
        "UNBLOCK <id> [TIMEOUT|ERROR]",
        "    End the waiting of a blocked connection, as if its time were over, or with an error.",
        "UNPAUSE",
        "    Let them go on.",
        "HELP",
        "    Print this help.",
    };
    reply_array(call->reply, sizeof lines / sizeof *lines);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        reply_simple(call->reply, lines[i]);
}

/* ---- grammars ---- */

#define TYPES                                                                                      \
    ARG_TOKEN("normal", "NORMAL"), ARG_TOKEN("master", "MASTER"), ARG_TOKEN("replica", "REPLICA"), \
        ARG_TOKEN("pubsub", "PUBSUB")
#define ALL_TYPES(old, new_since)                                                         \
    ARG_TOKEN("normal", "NORMAL"), ARG_TOKEN("master", "MASTER", .since = old),           \
        ARG_TOKEN("primary", "PRIMARY", .since = new_since), ARG_TOKEN("slave", "SLAVE"), \
        ARG_TOKEN("replica", "REPLICA", .since = (new_since) ? "5.0.0" : NULL),           \
        ARG_TOKEN("pubsub", "PUBSUB")
#define ON_OFF                      ARG_TOKEN("on", "ON"), ARG_TOKEN("off", "OFF")
#define YES_NO                      ARG_TOKEN("yes", "YES"), ARG_TOKEN("no", "NO")
#define O                           ARG_OPTIONAL
#define FILTER_STRING(n, word, ...) ARG_STRING(n, .token = word, O, ##__VA_ARGS__)
/* The filters that both have, from NAME on; the types that NOT-TYPE knows differ. */
#define LATE_FILTERS(...)                                                                      \
    FILTER_STRING("name", "NAME", .since = "9.0.0"),                                           \
        ARG_INTEGER("idle", .token = "IDLE", O, .since = "9.0.0"),                             \
        FILTER_STRING("flags", "FLAGS", .since = "9.0.0"),                                     \
        FILTER_STRING("lib-name", "LIB-NAME", .since = "9.0.0"),                               \
        FILTER_STRING("lib-ver", "LIB-VER", .since = "9.0.0"),                                 \
        ARG_INTEGER("db", .token = "DB", O, .since = "9.0.0"),                                 \
        FILTER_STRING("capa", "CAPA", .since = "9.0.0"),                                       \
        FILTER_STRING("ip", "IP", .since = "9.0.0"),                                           \
        ARG_ONEOF("not-client-type", (O, .token = "NOT-TYPE", .since = "9.0.0"), __VA_ARGS__), \
        ARG_INTEGER("not-client-id", .token = "NOT-ID", O, ARG_MULTIPLE, .since = "9.0.0"),    \
        FILTER_STRING("not-username", "NOT-USER", .since = "9.0.0"),                           \
        FILTER_STRING("not-addr", "NOT-ADDR", .display = "ip:port", .since = "9.0.0"),         \
        FILTER_STRING("not-laddr", "NOT-LADDR", .display = "ip:port", .since = "9.0.0"),       \
        FILTER_STRING("not-name", "NOT-NAME", .since = "9.0.0"),                               \
        FILTER_STRING("not-flags", "NOT-FLAGS", .since = "9.0.0"),                             \
        FILTER_STRING("not-lib-name", "NOT-LIB-NAME", .since = "9.0.0"),                       \
        FILTER_STRING("not-lib-ver", "NOT-LIB-VER", .since = "9.0.0"),                         \
        ARG_INTEGER("not-db", .token = "NOT-DB", O, .since = "9.0.0"),                         \
        FILTER_STRING("not-capa", "NOT-CAPA", .since = "9.0.0"),                               \
        FILTER_STRING("not-ip", "NOT-IP", .since = "9.0.0")

static const struct arg kill_new_format[] = {
    ARG_INTEGER("client-id", .token = "ID", O, ARG_MULTIPLE, .since = "2.8.12"),
    ARG_ONEOF("client-type", (O, .token = "TYPE", .since = "2.8.12"), ALL_TYPES("3.2.0", "8.0.0")),
    FILTER_STRING("username", "USER"),
    FILTER_STRING("addr", "ADDR", .display = "ip:port"),
    FILTER_STRING("laddr", "LADDR", .display = "ip:port", .since = "6.2.0"),
    ARG_ONEOF("skipme", (O, .token = "SKIPME"), YES_NO),
    ARG_INTEGER("maxage", .token = "MAXAGE", O, .since = "8.0.0"),
    LATE_FILTERS(ALL_TYPES(NULL, NULL)),
};
static const struct arg kill_formats[] = {
    ARG_STRING("old-format", .display = "ip:port", .deprecated_since = "2.8.12"),
    {.name = "new-format",
     .type = ARG_TYPE_ONEOF,
     ARG_MULTIPLE,
     .children = kill_new_format,
     .child_count = ARG_COUNT(kill_new_format)},
};
static const struct arg kill_args[] = {
    {.name = "filter",
     .type = ARG_TYPE_ONEOF,
     .children = kill_formats,
     .child_count = ARG_COUNT(kill_formats)},
};
static const struct arg list_args[] = {
    ARG_ONEOF("client-type", (O, .token = "TYPE", .since = "5.0.0"), TYPES),
    ARG_INTEGER("client-id", .token = "ID", O, ARG_MULTIPLE, .since = "6.2.0"),
    FILTER_STRING("username", "USER", .since = "8.1.0"),
    FILTER_STRING("addr", "ADDR", .display = "ip:port", .since = "8.1.0"),
    FILTER_STRING("laddr", "LADDR", .display = "ip:port", .since = "8.1.0"),
    ARG_ONEOF("skipme", (O, .token = "SKIPME", .since = "8.1.0"), YES_NO),
    ARG_INTEGER("maxage", .token = "MAXAGE", O, .since = "8.1.0"),
    LATE_FILTERS(TYPES),
};
static const struct arg switch_args[] = {ARG_ONEOF("enabled", (.id = 0), ON_OFF)};
static const struct arg reply_args[] = {
    ARG_ONEOF("action", (.id = 0), ON_OFF, ARG_TOKEN("skip", "SKIP"))};
static const struct arg setname_args[] = {ARG_STRING("connection-name")};
static const struct arg pause_args[] = {
    ARG_INTEGER("timeout"),
    ARG_ONEOF("mode", (O, .since = "6.2.0"), ARG_TOKEN("write", "WRITE"), ARG_TOKEN("all", "ALL"))};
static const struct arg unblock_args[] = {
    ARG_INTEGER("client-id"),
    ARG_ONEOF("unblock-type", (O), ARG_TOKEN("timeout", "TIMEOUT"), ARG_TOKEN("error", "ERROR"))};
static const struct arg capa_args[] = {ARG_STRING("capability", ARG_MULTIPLE)};
static const struct arg setinfo_args[] = {ARG_ONEOF("attr", (.id = 0),
                                                    ARG_STRING("libname", .token = "LIB-NAME"),
                                                    ARG_STRING("libver", .token = "LIB-VER"))};

static const char *const varying_tips[] = {"nondeterministic_output", NULL};
static const char *const everywhere_tips[] = {"request_policy:all_nodes",
                                              "response_policy:all_succeeded", NULL};

/* ---- rows ---- */

enum { BASIC = CMD_LOADING | CMD_STALE, COMMON = BASIC | CMD_NOSCRIPT };

#define ROW(word, fn, words, row_flags, version, cost, text, ...)                              \
    {                                                                                          \
        .name = (word), .run = (fn), .arity = (words), .flags = (row_flags),                   \
        .acl = ACL_CONNECTION, .scope = SCOPE_NONE, .group = "connection", .since = (version), \
        .complexity = (cost), .summary = (text), ##__VA_ARGS__                                 \
    }
#define WORDS(array) \
    .args = (array), .arg_count = ARG_COUNT(array), .parse = client_command_any_words

const struct command client_subcommands[] = {
    ROW("CAPA", client_capa, -3, COMMON | CMD_ALLOW_BUSY, "8.0.0", "O(1)",
        "Tells the server what the client can do.", WORDS(capa_args)),
    ROW("GETNAME", client_getname, 2, COMMON | CMD_ALLOW_BUSY, "2.6.9", "O(1)",
        "Shows the connection's name."),
    ROW("GETREDIR", client_getredir, 2, COMMON | CMD_ALLOW_BUSY, "6.0.0", "O(1)",
        "Shows which client gets the connection's invalidation messages."),
    ROW("HELP", client_help, 2, BASIC, "5.0.0", "O(1)", "Explains the subcommands."),
    ROW("ID", client_id, 2, COMMON | CMD_ALLOW_BUSY, "5.0.0", "O(1)",
        "Shows the connection's number."),
    ROW("IMPORT-SOURCE", client_import_source, 3, COMMON, "8.1.0", "O(1)",
        "Lets the connection see keys whose time is over, while import-mode is on.",
        WORDS(switch_args)),
    ROW("INFO", client_info, 2, COMMON, "6.2.0", "O(1)", "Describes the connection.",
        .tips = varying_tips),
    ROW("KILL", client_kill, -3, COMMON | CMD_ADMIN, "2.4.0",
        "O(N) where N is the number of client connections", "Closes connections.", WORDS(kill_args),
        .history = ROW_WORDS("2.8.12", "Filters, and with them more than one connection.", "2.8.12",
                             "Filter ID.", "3.2.0", "Type master.", "5.0.0",
                             "Type replica, which may still be written slave.", "6.2.0",
                             "Filter LADDR.", "8.0.0", "Filter MAXAGE.", "8.0.0",
                             "Type primary, which may still be written master.", "8.1.0",
                             "ID takes several numbers.", "9.0.0",
                             "Filters by name, idle time, flags, library, database, "
                             "capabilities and IP, and the opposite of each.")),
    ROW("LIST", client_list, -2, COMMON | CMD_ADMIN, "2.4.0",
        "O(N) where N is the number of client connections", "Describes the open connections.",
        WORDS(list_args), .tips = varying_tips,
        .history =
            ROW_WORDS("2.8.12", "Field id.", "5.0.0", "Filter TYPE.", "6.0.0", "Field user.",
                      "6.2.0", "Fields argv-mem, tot-mem, laddr and redir; filter ID.", "7.0.0",
                      "Fields resp, multi-mem, rbs and rbp.", "7.0.3", "Field ssub.", "8.0.0",
                      "Type primary, which may still be written master.", "8.1.0",
                      "Filters USER, ADDR, LADDR, SKIPME and MAXAGE.", "9.0.0",
                      "Filters by name, idle time, flags, library, database, "
                      "capabilities and IP, and the opposite of each.")),
    ROW("NO-EVICT", client_no_evict, 3, COMMON | CMD_ADMIN | CMD_ALLOW_BUSY, "7.0.0", "O(1)",
        "Protects the connection from being closed to save memory.", WORDS(switch_args)),
    ROW("NO-TOUCH", client_no_touch, 3, COMMON | CMD_ALLOW_BUSY, "7.2.0", "O(1)",
        "Makes the connection's commands leave keys' access clocks alone.", WORDS(switch_args)),
    ROW("PAUSE", client_pause, -3, COMMON | CMD_ADMIN, "3.0.0", "O(1)",
        "Lets commands wait for a while.", WORDS(pause_args),
        .history = ROW_WORDS("6.2.0", "Mode WRITE.")),
    ROW("REPLY", client_reply, 3, COMMON | CMD_ALLOW_BUSY | CMD_NO_MULTI, "3.2.0", "O(1)",
        "Says whether the connection wants replies.", WORDS(reply_args)),
    ROW("SETINFO", client_setinfo, 4, COMMON | CMD_ALLOW_BUSY, "7.2.0", "O(1)",
        "Names the client library in use.", WORDS(setinfo_args), .tips = everywhere_tips),
    ROW("SETNAME", client_setname, 3, COMMON | CMD_ALLOW_BUSY, "2.6.9", "O(1)",
        "Names the connection.", WORDS(setname_args), .tips = everywhere_tips),
    ROW("TRACKINGINFO", client_trackinginfo, 2, COMMON, "6.2.0", "O(1)",
        "Shows how the connection's keys are tracked."),
    ROW("UNBLOCK", client_unblock, -3, COMMON | CMD_ADMIN, "5.0.0", "O(log N)",
        "Ends the waiting of a blocked connection.", WORDS(unblock_args)),
    ROW("UNPAUSE", client_unpause, 2, COMMON | CMD_ADMIN, "6.2.0",
        "O(N) Where N is the number of paused clients", "Ends a pause."),
};
