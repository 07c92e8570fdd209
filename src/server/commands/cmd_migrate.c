/* cmd_migrate.c - MIGRATE: keys move to another server.
 *
 * The other server is spoken to while no shard is held, so a key may change between the moment at which it is written
 * down and that at which it is deleted here. It is watched meanwhile, as WATCH does it: if it has changed, it
 * is sent again, now in place of what we have put there, until it has not or time is over. So a key is deleted only
 * after exactly what is deleted has arrived.
 *
 * All keys are sent at once, then all replies are read. Inside a transaction, which holds shards, it cannot wait, and says
 * so.
 */
#include "server/commands/handler.h"

#include "base/number.h"
#include "persist/rdb_payload.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/text.h"
#include "store/transaction.h"
#include "store/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <tuco/context.h>
#include <tuco/go.h>
#include <tuco/mem.h>
#include <tuco/net.h>

enum { DEFAULT_TIMEOUT_MS = 1000, LINE_BYTES = 1024, ADDRESS_BYTES = 300 };

struct item {
    struct store_key key;
    struct watcher watcher;
    bool sent;    /* in this round */
    bool resends; /* our own older copy is there: replace it */
    bool done;
};

struct migration {
    struct call *call;
    bool copy, replace;
    const struct slice *user, *password; /* NULL: none */
    size_t first, count;                 /* the words that name the keys */
    int64_t db, deadline_ns;
    tu_conn *target;
    struct text out;
    char line[LINE_BYTES]; /* what was read */
    size_t line_size, line_used;
    char error[LINE_BYTES]; /* the first that the target gave; "": none */
    struct item *items;
};

/* ---- words ---- */

static bool fails(const struct call *call, const char *error)
{
    reply_error(call->reply, error);
    return false;
}

static bool read_options(struct migration *m)
{
    const struct call *call = m->call;
    m->first = 3;
    m->count = 1;
    for (size_t i = 6; i < call->argc; i++) {
        size_t more = call->argc - i - 1;
        if (slice_equal_nocase(call->argv[i], SLICE("COPY"))) {
            m->copy = true;
        } else if (slice_equal_nocase(call->argv[i], SLICE("REPLACE"))) {
            m->replace = true;
        } else if (slice_equal_nocase(call->argv[i], SLICE("AUTH")) && more >= 1) {
            m->password = &call->argv[++i];
        } else if (slice_equal_nocase(call->argv[i], SLICE("AUTH2")) && more >= 2) {
            m->user = &call->argv[i + 1];
            m->password = &call->argv[i + 2];
            i += 2;
        } else if (slice_equal_nocase(call->argv[i], SLICE("KEYS"))) {
            if (call->argv[3].size != 0)
                return fails(call, ERR_MIGRATE_KEYS);
            m->first = i + 1;
            m->count = more;
            break;
        } else {
            return fails(call, ERR_SYNTAX);
        }
    }
    return true;
}

static bool read_words(struct migration *m)
{
    int64_t timeout_ms;
    if (!read_options(m) || !handler_integer(m->call, m->call->argv[5], &timeout_ms) ||
        !handler_integer(m->call, m->call->argv[4], &m->db))
        return false;
    if (timeout_ms <= 0)
        timeout_ms = DEFAULT_TIMEOUT_MS;
    if (timeout_ms > INT64_MAX / TU_MS / 2)
        timeout_ms = INT64_MAX / TU_MS / 2;
    m->deadline_ns = tu_now() + timeout_ms * TU_MS;
    return true;
}

static bool migrate_secret(const struct slice *argv, size_t argc, size_t index)
{
    for (size_t i = 6; i < index; i++) {
        if (slice_equal_nocase(argv[i], SLICE("AUTH")) && index == i + 1)
            return true;
        if (slice_equal_nocase(argv[i], SLICE("AUTH2")) && index <= i + 2)
            return true;
    }
    return false;
}

/* ---- what is sent ---- */

static void add_word(struct text *out, struct slice word)
{
    text_addf(out, "$%zu\r\n", word.size);
    text_add(out, word);
    text_add(out, SLICE("\r\n"));
}

static void add_integer(struct text *out, int64_t value)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRId64, value);
    add_word(out, (struct slice){digits, (size_t)size});
}

static void add_restore(struct migration *m, const struct item *item, int64_t ttl_ms,
                        struct slice payload)
{
    bool replace = m->replace || item->resends;
    text_addf(&m->out, "*%d\r\n", replace ? 5 : 4);
    add_word(&m->out, SLICE("RESTORE"));
    add_word(&m->out, item->key.name);
    add_integer(&m->out, ttl_ms);
    add_word(&m->out, payload);
    if (replace)
        add_word(&m->out, SLICE("REPLACE"));
}

/* Writes one key down, if it is there. */
static enum store_result add_item(struct migration *m, struct item *item)
{
    struct transaction *tx = m->call->tx;
    struct rdb_writer w = rdb_writer_new(handler_config(m->call)->rdbcompression);
    int64_t at_ms = EXPIRY_NONE;
    item->sent = false;
    transaction_lock(tx, &item->key.hash, 1);
    enum store_result result = rdb_payload_dump(tx, item->key, &w);
    if (result == STORE_OK)
        result = keyspace_expiry(tx, item->key, &at_ms);
    if (result == STORE_OK && !m->copy)
        result = watch_key(tx, &item->watcher, item->key);
    int64_t ttl_ms = at_ms == EXPIRY_NONE ? 0 : at_ms > tx->now_ms ? at_ms - tx->now_ms : 1;
    transaction_unlock(tx);
    if (result == STORE_OK) {
        add_restore(m, item, ttl_ms, (struct slice){(const char *)w.bytes, w.size});
        item->sent = true;
    }
    tu_free(w.bytes);
    return result;
}

/* Writes down all keys that are still to go: their number; -1: out of memory. */
static int64_t add_items(struct migration *m)
{
    int64_t count = 0;
    m->out.size = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct item *item = &m->items[i];
        if (item->done)
            continue;
        enum store_result result = add_item(m, item);
        item->done = result == STORE_MISSING;
        if (result == STORE_NO_MEMORY || m->out.failed)
            return -1;
        count += item->sent;
    }
    return count;
}

/* ---- the other server ---- */

static bool dial(struct migration *m)
{
    char address[ADDRESS_BYTES];
    const struct slice *argv = m->call->argv;
    int64_t port = 0;
    (void)number_parse_int64(argv[2], &port);
    bool v6 = memchr(argv[1].data, ':', argv[1].size) != NULL;
    int rc = -ENAMETOOLONG;
    if (argv[1].size < ADDRESS_BYTES - 32) {
        (void)snprintf(address, sizeof address, "%s%.*s%s:%" PRId64, v6 ? "[" : "",
                       (int)argv[1].size, argv[1].data, v6 ? "]" : "", port > 0 ? port : 1);
        tu_context *limit = tu_with_deadline(tu_context_current(), m->deadline_ns);
        tu_in_context(limit) {
            rc = tu_dial(&m->target, address);
        }
        tu_context_release(limit);
    }
    if (rc == 0) {
        tu_set_read_deadline(m->target, m->deadline_ns);
        tu_set_write_deadline(m->target, m->deadline_ns);
        return true;
    }
    bool refused = rc == -ECONNREFUSED || rc == -ECONNRESET;
    return fails(m->call, refused ? ERR_MIGRATE_WRITE : ERR_MIGRATE_CONNECT);
}

/* Reads a status or error line to m->line: its size without its end, or -1. What follows it moves up next time. */
static ssize_t read_line(struct migration *m)
{
    m->line_size -= m->line_used;
    memmove(m->line, m->line + m->line_used, m->line_size);
    m->line_used = 0;
    for (;;) {
        char *end = memchr(m->line, '\n', m->line_size);
        if (end != NULL && end > m->line && end[-1] == '\r') {
            m->line_used = (size_t)(end - m->line) + 1;
            return end - m->line - 1;
        }
        if (m->line_size == LINE_BYTES)
            return -1;
        ssize_t got = tu_read(m->target, m->line + m->line_size, LINE_BYTES - m->line_size);
        if (got <= 0)
            return -1;
        m->line_size += (size_t)got;
    }
}

/* Reads one reply; *ok: it was no error; the first error is kept. False: the connection is of no use. */
static bool read_reply(struct migration *m, bool *ok)
{
    ssize_t size = read_line(m);
    if (size < 1)
        return false;
    *ok = m->line[0] != '-';
    if (!*ok && m->error[0] == '\0')
        (void)snprintf(m->error, sizeof m->error, "%.*s", (int)size - 1, m->line + 1);
    return true;
}

/* Says who we are and which database it is about: true if both went well, or the error was replied or is in m->error. */
static bool introduce(struct migration *m, bool *usable)
{
    struct text hello = {0};
    size_t replies = 0;
    if (m->password != NULL) {
        text_addf(&hello, "*%d\r\n", m->user != NULL ? 3 : 2);
        add_word(&hello, SLICE("AUTH"));
        if (m->user != NULL)
            add_word(&hello, *m->user);
        add_word(&hello, *m->password);
        replies++;
    }
    if (m->db != -1) { /* the peer takes it for the one that a new connection has */
        text_addf(&hello, "*2\r\n");
        add_word(&hello, SLICE("SELECT"));
        add_integer(&hello, m->db);
        replies++;
    }
    *usable = !hello.failed;
    if (*usable && hello.size > 0 && tu_write(m->target, hello.data, hello.size) < 0) {
        text_free(&hello);
        return fails(m->call, ERR_MIGRATE_WRITE);
    }
    text_free(&hello);
    for (; *usable && replies > 0; replies--) {
        bool ok;
        if (!read_reply(m, &ok))
            return fails(m->call, ERR_MIGRATE_READ);
        *usable = ok && m->error[0] == '\0';
    }
    return true;
}

/* The key has arrived: deletes it, or finds that it has changed and must go once more. */
static void settle(struct migration *m, struct item *item)
{
    struct transaction *tx = m->call->tx;
    item->done = true;
    if (m->copy)
        return;
    transaction_lock(tx, &item->key.hash, 1);
    if (watch_is_dirty(&item->watcher, tx)) {
        item->resends = true;
        item->done = false;
    } else {
        (void)keyspace_delete(tx, item->key, handler_config(m->call)->lazyfree_lazy_server_del);
    }
    watch_clear_locked(&item->watcher, tx);
    transaction_unlock(tx);
}

/* Sends what was written down, and reads what becomes of it. False: the error was replied. */
static bool send_round(struct migration *m)
{
    if (tu_write(m->target, m->out.data, m->out.size) < 0)
        return fails(m->call, ERR_MIGRATE_WRITE);
    for (size_t i = 0; i < m->count; i++) {
        struct item *item = &m->items[i];
        bool ok;
        if (item->done || !item->sent)
            continue;
        if (!read_reply(m, &ok))
            return fails(m->call, ERR_MIGRATE_READ);
        if (ok)
            settle(m, item);
        else
            item->done = true;
    }
    return true;
}

static void migrate(struct migration *m)
{
    struct reply *r = m->call->reply;
    bool usable = false;
    int64_t count = add_items(m);
    if (count == 0) {
        reply_simple(r, "NOKEY");
        return;
    }
    if (count > 0 && (!dial(m) || !introduce(m, &usable)))
        return;
    while (count > 0 && usable) {
        if (!send_round(m))
            return;
        count = add_items(m);
    }
    if (count < 0)
        reply_error(r, ERR_NO_MEMORY);
    else if (m->error[0] != '\0')
        reply_errorf(r, ERR_MIGRATE_TARGET, m->error);
    else if (!usable)
        reply_error(r, ERR_NO_MEMORY);
    else
        reply_ok(r);
}

static void run_migrate(struct call *call)
{
    struct migration m = {.call = call};
    if (transaction_holds_any(call->tx)) {
        reply_error(call->reply, ERR_MIGRATE_IN_EXEC);
        return;
    }
    if (!read_words(&m))
        return;
    m.items = tu_alloc_zeroed((m.count + 1) * sizeof *m.items);
    if (m.items == NULL) {
        reply_error(call->reply, ERR_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < m.count; i++) {
        struct slice name = call->argv[m.first + i];
        m.items[i].key = (struct store_key){name, keyspace_hash(call->tx->keyspace, name)};
    }
    migrate(&m);
    if (m.target != NULL)
        tu_close(m.target);
    for (size_t i = 0; i < m.count; i++) {
        if (watch_any(&m.items[i].watcher))
            watch_clear(&m.items[i].watcher, call->tx->keyspace);
    }
    text_free(&m.out);
    tu_free(m.items);
}

static const struct command rows[] = {
    {.name = "MIGRATE",
     .run = run_migrate,
     .arity = -6,
     .flags = CMD_WRITE | CMD_MOVABLE_KEYS,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_SELF,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(N) in the size of the values, here, on the way and there",
     .summary = "Moves keys to another server.",
     .parse = handler_parses_itself,
     .secret = migrate_secret,
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("3.0.0", "COPY and REPLACE.", "3.0.6", "KEYS.", "4.0.7", "AUTH.", "6.0.0",
                          "AUTH2."),
     ROW_KEYS(KEY_AT(3, KEY_RW | KEY_ACCESS | KEY_DELETE),
              {.flags = KEY_RW | KEY_ACCESS | KEY_DELETE | KEY_INCOMPLETE,
               .begin = KEY_BEGIN_KEYWORD,
               .begin_index = -2,
               .begin_keyword = "KEYS",
               .find = KEY_FIND_RANGE,
               .last = -1,
               .step = 1}),
     ROW_ARGS(
         ARG_STRING("host"), ARG_INTEGER("port"),
         ARG_ONEOF("key-selector", (.id = 0), ARG_KEY("key", 0), ARG_TOKEN("empty-string", "")),
         ARG_INTEGER("destination-db"), ARG_INTEGER("timeout"),
         ARG_TOKEN("copy", "COPY", ARG_OPTIONAL, .since = "3.0.0"),
         ARG_TOKEN("replace", "REPLACE", ARG_OPTIONAL, .since = "3.0.0"),
         ARG_ONEOF("authentication", (ARG_OPTIONAL),
                   ARG_STRING("auth", .token = "AUTH", .display = "password", .since = "4.0.7"),
                   ARG_BLOCK("auth2", (.token = "AUTH2", .since = "6.0.0"), ARG_STRING("username"),
                             ARG_STRING("password"))),
         ARG_KEY("keys", 1, .display = "key", .token = "KEYS", ARG_OPTIONAL, ARG_MULTIPLE,
                 .since = "3.0.6"))},
};

const struct command_family migrate_family = COMMAND_FAMILY(rows);
