/* command_log.c - the problem: with a threshold of 0 every command of every core makes an entry, and a
 * reader wants thousands of them without stopping those who write.
 *
 * An entry is made before the lock is taken and freed after it is given back; under it are only links
 * and counts. A reader counts itself as a holder of each entry that it takes, and writes its reply without
 * the lock. The queue is linked from the oldest to the newest, so that one pointer each suffices.
 */
#include "server/command_log.h"

#include "runtime/sched/park.h"
#include "server/client.h"
#include "server/command.h"
#include "server/text.h"

#include "base/check.h"

#include <stdio.h>
#include <tuco/mem.h>

enum { NOTE_BYTES = 48 }; /* "... (N more bytes)" */

struct log {
    struct tu__lock lock;
    struct command_log_entry *oldest, *newest;
    uint64_t length, next_id;
};
struct command_log {
    struct log logs[COMMAND_LOG_TYPES];
};

struct command_log *command_log_new(void)
{
    return tu_alloc_zeroed(sizeof(struct command_log));
}

static void release(struct command_log_entry *entry)
{
    /* Release and acquire: who frees it comes after all who have read it. */
    if (atomic_fetch_sub_explicit(&entry->holders, 1, memory_order_acq_rel) == 1)
        tu_free(entry);
}

static void release_chain(struct command_log_entry *entry)
{
    while (entry != NULL) {
        struct command_log_entry *newer = entry->newer;
        release(entry);
        entry = newer;
    }
}

void command_log_free(struct command_log *log)
{
    for (int i = 0; log != NULL && i < COMMAND_LOG_TYPES; i++)
        release_chain(log->logs[i].oldest);
    tu_free(log);
}

/* ---- making entries ---- */

/* What stands for word `i` of the call: some of its bytes, and a note behind them. */
struct shown {
    struct slice bytes;
    char note[NOTE_BYTES];
};

static void show_word(const struct call *call, size_t i, struct shown *out)
{
    const struct command *row = call->command;
    size_t size = call->argv[i].size;
    out->bytes = call->argv[i];
    out->note[0] = '\0';
    if (call->argc > COMMAND_LOG_WORDS && i == COMMAND_LOG_WORDS - 1) {
        out->bytes.size = 0;
        (void)snprintf(out->note, NOTE_BYTES, "... (%zu more arguments)",
                       call->argc - COMMAND_LOG_WORDS + 1);
    } else if (row->secret != NULL && row->secret(call->argv, call->argc, i)) {
        out->bytes = SLICE("(redacted)");
    } else if (size > COMMAND_LOG_BYTES) {
        out->bytes.size = COMMAND_LOG_BYTES;
        (void)snprintf(out->note, NOTE_BYTES, "... (%zu more bytes)", size - COMMAND_LOG_BYTES);
    }
}

static char *put(char *to, struct slice bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

/* An entry without id and cost; NULL: out of memory. */
static struct command_log_entry *make_entry(const struct call *call, int64_t now_s)
{
    struct text address = {0};
    client_address(call->client, false, &address);
    struct slice name = call->client->name != NULL ? slice_of(call->client->name) : SLICE("");
    size_t argc = call->argc < COMMAND_LOG_WORDS ? call->argc : COMMAND_LOG_WORDS;
    size_t head = sizeof(struct command_log_entry) + argc * sizeof(struct slice);
    size_t bytes = address.size + name.size;
    struct shown word;
    for (size_t i = 0; i < argc; i++) {
        show_word(call, i, &word);
        bytes += word.bytes.size + strlen(word.note);
    }
    struct command_log_entry *entry = address.failed ? NULL : tu_alloc(head + bytes);
    if (entry != NULL) {
        *entry = (struct command_log_entry){
            .holders = 1, .argc = (uint32_t)argc, .time_s = now_s, .cost = 0};
        char *to = (char *)entry + head;
        entry->address = (struct slice){to, address.size};
        to = put(to, text_slice(&address));
        entry->name = (struct slice){to, name.size};
        to = put(to, name);
        for (size_t i = 0; i < argc; i++) {
            char *start = to;
            show_word(call, i, &word);
            to = put(put(to, word.bytes), slice_of(word.note));
            entry->argv[i] = (struct slice){start, (size_t)(to - start)};
        }
    }
    text_free(&address);
    return entry;
}

/* ---- the queues ---- */

/* Takes the oldest beyond max_length out: a chain to release without the lock, or NULL. */
static struct command_log_entry *cut(struct log *log, uint64_t max_length)
{
    struct command_log_entry *gone = log->oldest, *last = NULL;
    for (; log->length > max_length; log->length--) {
        last = log->oldest;
        log->oldest = last->newer;
    }
    if (last == NULL)
        return NULL;
    last->newer = NULL;
    if (log->oldest == NULL)
        log->newest = NULL;
    return gone;
}

static void append(struct log *log, struct command_log_entry *entry, uint64_t max_length)
{
    tu__lock(&log->lock);
    entry->id = log->next_id++;
    if (log->newest != NULL)
        log->newest->newer = entry;
    else
        log->oldest = entry;
    log->newest = entry;
    log->length++;
    struct command_log_entry *gone = cut(log, max_length);
    tu__unlock(&log->lock);
    release_chain(gone);
}

struct limits {
    int64_t threshold, max_length;
};

static struct limits limits_of(const struct config *config, enum command_log_type type)
{
    switch (type) {
    case COMMAND_LOG_SLOW:
        return (struct limits){config->commandlog_execution_slower_than,
                               config->commandlog_slow_execution_max_len};
    case COMMAND_LOG_LARGE_REQUEST:
        return (struct limits){config->commandlog_request_larger_than,
                               config->commandlog_large_request_max_len};
    default:
        return (struct limits){config->commandlog_reply_larger_than,
                               config->commandlog_large_reply_max_len};
    }
}

static bool is_off(struct limits limits)
{
    return limits.threshold < 0 || limits.max_length == 0;
}

void command_log_add(struct command_log *log, const struct config *config, const struct call *call,
                     const struct command_cost *cost, int64_t now_s)
{
    for (int type = 0; type < COMMAND_LOG_TYPES; type++) {
        struct limits limits = limits_of(config, (enum command_log_type)type);
        if (is_off(limits) || cost->of[type] < limits.threshold)
            continue;
        struct command_log_entry *entry = make_entry(call, now_s);
        if (entry == NULL)
            return;
        entry->cost = cost->of[type];
        append(&log->logs[type], entry, (uint64_t)limits.max_length);
    }
}

void command_log_trim(struct command_log *log, const struct config *config)
{
    for (int type = 0; type < COMMAND_LOG_TYPES; type++) {
        struct limits limits = limits_of(config, (enum command_log_type)type);
        if (is_off(limits))
            continue;
        struct log *l = &log->logs[type];
        tu__lock(&l->lock);
        struct command_log_entry *gone = cut(l, (uint64_t)limits.max_length);
        tu__unlock(&l->lock);
        release_chain(gone);
    }
}

uint64_t command_log_length(struct command_log *log, enum command_log_type type)
{
    struct log *l = &log->logs[type];
    tu__lock(&l->lock);
    uint64_t length = l->length;
    tu__unlock(&l->lock);
    return length;
}

void command_log_reset(struct command_log *log, enum command_log_type type)
{
    struct log *l = &log->logs[type];
    tu__lock(&l->lock);
    struct command_log_entry *gone = l->oldest;
    l->oldest = l->newest = NULL;
    l->length = 0;
    tu__unlock(&l->lock);
    release_chain(gone);
}

size_t command_log_newest(struct command_log *log, enum command_log_type type, uint64_t count,
                          struct command_log_entry ***entries)
{
    struct log *l = &log->logs[type];
    uint64_t length = command_log_length(log, type);
    size_t room = count < length ? count : length;
    *entries = room > 0 ? tu_alloc(room * sizeof **entries) : NULL;
    if (*entries == NULL)
        return 0;
    tu__lock(&l->lock); /* its length may be another one by now */
    size_t found = l->length < room ? l->length : room;
    uint64_t skip = l->length - found;
    struct command_log_entry *entry = l->oldest;
    for (; skip > 0; skip--)
        entry = entry->newer;
    for (size_t i = found; i > 0; i--, entry = entry->newer) {
        atomic_fetch_add_explicit(&entry->holders, 1, memory_order_relaxed);
        (*entries)[i - 1] = entry;
    }
    tu__unlock(&l->lock);
    return found;
}

void command_log_release(struct command_log_entry **entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        release(entries[i]);
    tu_free(entries);
}
