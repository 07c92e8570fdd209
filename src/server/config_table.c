/* config_table.c - directives as rows: parsing, printing, comparing by kind.
 *
 * The rows are made from config_directives.inc, as struct config is, so a directive is written down
 * once. Kinds with one field are handled here; those with a syntax of their own in config_special.c.
 * Error texts are those that clients and administrators know from Redis.
 */
#include "server/config_table.h"

#include "base/check.h"
#include "base/number.h"

#include <tuco/mem.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

static const struct config_word protected_action[] = {
    {"no", PROTECTED_NO}, {"yes", PROTECTED_YES}, {"local", PROTECTED_LOCAL}, {0}};
static const struct config_word supervised[] = {{"upstart", SUPERVISED_UPSTART},
                                                {"systemd", SUPERVISED_SYSTEMD},
                                                {"auto", SUPERVISED_AUTO},
                                                {"no", SUPERVISED_NO},
                                                {0}};
static const struct config_word syslog_facility[] = {{"user", LOG_USER},     {"local0", LOG_LOCAL0},
                                                     {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
                                                     {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
                                                     {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
                                                     {"local7", LOG_LOCAL7}, {0}};
static const struct config_word acl_pubsub[] = {{"allchannels", 1}, {"resetchannels", 0}, {0}};
static const struct config_word appendfsync[] = {{"everysec", 2}, {"always", 1}, {"no", 0}, {0}};
static const struct config_word cluster_save[] = {{"sync", 0}, {"best-effort", 1}, {0}};
static const struct config_word endpoint_type[] = {
    {"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {0}};
static const struct config_word log_format[] = {
    {"legacy", LOG_FORMAT_LEGACY}, {"logfmt", LOG_FORMAT_LOGFMT}, {"json", LOG_FORMAT_JSON}, {0}};
static const struct config_word log_timestamp[] = {{"legacy", LOG_TIME_LEGACY},
                                                   {"iso8601", LOG_TIME_ISO8601},
                                                   {"milliseconds", LOG_TIME_MILLISECONDS},
                                                   {0}};
/* Values: enum log_level. */
static const struct config_word loglevel[] = {{"debug", 0},   {"verbose", 1}, {"notice", 2},
                                              {"warning", 3}, {"nothing", 4}, {0}};
static const struct config_word maxmemory_policy[] = {
    {"volatile-lru", MAXMEMORY_VOLATILE_LRU},
    {"volatile-lfu", MAXMEMORY_VOLATILE_LFU},
    {"volatile-random", MAXMEMORY_VOLATILE_RANDOM},
    {"volatile-ttl", MAXMEMORY_VOLATILE_TTL},
    {"allkeys-lru", MAXMEMORY_ALLKEYS_LRU},
    {"allkeys-lfu", MAXMEMORY_ALLKEYS_LFU},
    {"allkeys-random", MAXMEMORY_ALLKEYS_RANDOM},
    {"noeviction", MAXMEMORY_NO_EVICTION},
    {0}};
static const struct config_word oom_score[] = {
    {"no", 0}, {"yes", 1}, {"relative", 1}, {"absolute", 2}, {0}};
static const struct config_word propagation[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {0}};
static const struct config_word rdb_version[] = {{"strict", 0}, {"relaxed", 1}, {0}};
static const struct config_word diskless_load[] = {
    {"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {"flush-before-load", 3}, {0}};
static const struct config_word shutdown_set[] = {
    {"default", SHUTDOWN_DEFAULT},   {"save", SHUTDOWN_SAVE},
    {"nosave", SHUTDOWN_NOSAVE},     {"now", SHUTDOWN_NOW},
    {"force", SHUTDOWN_FORCE},       {"safe", SHUTDOWN_SAFE},
    {"failover", SHUTDOWN_FAILOVER}, {0}};
static const struct config_word tls_auth[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {0}};
static const struct config_word tls_user[] = {{"CN", 1}, {"URI", 2}, {"off", 0}, {0}};
static const struct config_word sanitize[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {0}};

enum {
    IMMUTABLE = CONFIG_IMMUTABLE,
    PROTECTED = CONFIG_PROTECTED,
    SENSITIVE = CONFIG_SENSITIVE,
    HIDDEN = CONFIG_HIDDEN,
    IDLE = CONFIG_IDLE,
};
#define ROW(field, n, a, f, k) \
    .name = n, .alias = a, .kind = k, .flags = f, .offset = offsetof(struct config, field)
#define BOOL(field, name, alias, flags, def) \
    {ROW(field, name, alias, flags, CONFIG_BOOL), .number = def},
#define NUMBER(field, name, alias, flags, lo, hi, def) \
    {ROW(field, name, alias, flags, CONFIG_NUMBER), .low = lo, .high = hi, .number = def},
#define MEMORY(field, name, alias, flags, lo, hi, def) \
    {ROW(field, name, alias, flags, CONFIG_MEMORY), .low = lo, .high = hi, .number = def},
#define PERCENT_OR_MEMORY(field, name, alias, flags, lo, hi, def)                     \
    {ROW(field, name, alias, flags, CONFIG_PERCENT_OR_MEMORY), .low = lo, .high = hi, \
     .number = def},
#define ENUM(field, name, alias, flags, table, def) \
    {ROW(field, name, alias, flags, CONFIG_ENUM), .text = def, .words = table},
#define STRING(field, name, alias, flags, def) \
    {ROW(field, name, alias, flags, CONFIG_STRING), .text = def},
#define SPECIAL(field, name, alias, flags, def) \
    {ROW(field, name, alias, flags, CONFIG_SPECIAL), .text = def},

static const struct config_row rows[] = {
#include "server/config_directives.inc"
};

size_t config_row_count(void)
{
    return sizeof rows / sizeof *rows;
}

const struct config_row *config_row_at(size_t index)
{
    return &rows[index];
}

const struct config_row *config_row_find(struct slice name)
{
    for (size_t i = 0; i < config_row_count(); i++) {
        if (slice_equal_nocase(name, slice_of(rows[i].name)) ||
            (rows[i].alias != NULL && slice_equal_nocase(name, slice_of(rows[i].alias))))
            return &rows[i];
    }
    return NULL;
}

bool config_row_takes_words(const struct config_row *row)
{
    static const char *const single[] = {"notify-keyspace-events", "unixsocketperm", "dir"};
    if (row->kind == CONFIG_ENUM)
        return row->words == shutdown_set;
    if (row->kind != CONFIG_SPECIAL)
        return false;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (strcmp(row->name, single[i]) == 0)
            return false;
    }
    return true;
}

static void *field_of(const struct config_row *row, const struct config *config)
{
    return (char *)(uintptr_t)config + row->offset;
}

bool config_assign(const char **field, struct slice value)
{
    char *copy = text_copy(value);
    if (copy == NULL)
        return false;
    tu_free((void *)(uintptr_t)*field);
    *field = copy;
    return true;
}

/* ---- values ---- */

bool config_parse_memory(struct slice text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1024},
                 {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[digits] - '0'), &value))
            return false;
        digits++;
    }
    if (digits == 0 && text.size != 0)
        return false;
    struct slice unit = {text.data + digits, text.size - digits};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (slice_equal_nocase(unit, slice_of(units[i].unit)))
            return !__builtin_mul_overflow(value, units[i].factor, bytes);
    }
    return false;
}

static const char *check_range(const struct config_row *row, int64_t value,
                               struct config_error *error)
{
    if (value >= row->low && value <= row->high)
        return NULL;
    (void)snprintf(error->text, sizeof error->text,
                   "argument must be between %" PRId64 " and %" PRId64 " inclusive", row->low,
                   row->high);
    return error->text;
}

static const char *set_number(const struct config_row *row, int64_t *field, struct slice value,
                              struct config_error *error)
{
    int64_t number;
    if (!number_parse_int64(value, &number))
        return "argument couldn't be parsed into an integer";
    const char *wrong = check_range(row, number, error);
    if (wrong == NULL)
        *field = number;
    return wrong;
}

static const char *set_memory(const struct config_row *row, int64_t *field, struct slice value,
                              struct config_error *error)
{
    uint64_t bytes;
    int64_t number;
    if (row->kind == CONFIG_PERCENT_OR_MEMORY) {
        if (value.size > 1 && value.data[value.size - 1] == '%' &&
            number_parse_int64((struct slice){value.data, value.size - 1}, &number) &&
            number >= 0) {
            if (number > 100)
                return "percentage argument must be less or equal to 100";
            *field = -number;
            return NULL;
        }
        if (!config_parse_memory(value, &bytes))
            return "argument must be a memory or percent value";
    } else if (row->low < 0 && number_parse_int64(value, &number) && number < 0) {
        const char *low = check_range(row, number, error);
        if (low == NULL)
            *field = number;
        return low;
    } else if (!config_parse_memory(value, &bytes)) {
        return "argument must be a memory value";
    }
    if (bytes > INT64_MAX) { /* outside any row's range, written so that the text names the range */
        (void)snprintf(error->text, sizeof error->text,
                       "argument must be between %" PRId64 " and %" PRId64 " inclusive", row->low,
                       row->high);
        return error->text;
    }
    const char *wrong = check_range(row, (int64_t)bytes, error);
    if (wrong == NULL)
        *field = (int64_t)bytes;
    return wrong;
}

static const char *set_enum(const struct config_row *row, int *field, const struct slice *words,
                            size_t count, struct config_error *error)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        const struct config_word *w = row->words;
        while (w->word != NULL && !slice_equal_nocase(words[i], slice_of(w->word)))
            w++;
        if (w->word == NULL) {
            size_t used = (size_t)snprintf(error->text, sizeof error->text,
                                           "argument(s) must be one of the following: ");
            for (w = row->words; w->word != NULL && used < sizeof error->text; w++)
                used += (size_t)snprintf(error->text + used, sizeof error->text - used, "%s%s",
                                         w == row->words ? "" : ", ", w->word);
            return error->text;
        }
        value |= w->value;
    }
    if (row->words == shutdown_set && (value & SHUTDOWN_SAVE) && (value & SHUTDOWN_NOSAVE))
        return "shutdown options SAVE and NOSAVE can't be used simultaneously";
    *field = value;
    return NULL;
}

static const char *set_words(const struct config_row *row, struct config *draft,
                             const struct slice *words, size_t count, enum config_source source,
                             struct config_error *error)
{
    void *field = field_of(row, draft);
    if (row->kind == CONFIG_SPECIAL)
        return config_special_set(row, draft, words, count, source, error) == 0 ? NULL
                                                                                : error->reason;
    if (row->kind == CONFIG_ENUM && row->words == shutdown_set)
        return set_enum(row, field, words, count, error);
    if (count != 1)
        return "wrong number of arguments";
    switch (row->kind) {
    case CONFIG_BOOL:
        if (!slice_equal_nocase(words[0], SLICE("yes")) &&
            !slice_equal_nocase(words[0], SLICE("no")))
            return "argument must be 'yes' or 'no'";
        *(bool *)field = words[0].size == 3;
        return NULL;
    case CONFIG_NUMBER: return set_number(row, field, words[0], error);
    case CONFIG_MEMORY:
    case CONFIG_PERCENT_OR_MEMORY: return set_memory(row, field, words[0], error);
    case CONFIG_ENUM: return set_enum(row, field, words, 1, error);
    default: {
        const char *wrong = config_string_check(row, words[0], error);
        if (wrong != NULL)
            return wrong;
        return config_assign(field, words[0]) ? NULL : "out of memory";
    }
    }
}

/* Splits one word at each single space, as CONFIG SET's values are; "" gives none. */
static struct slice *split_spaces(struct slice value, size_t *count)
{
    struct slice *items = tu_alloc((value.size + 1) * sizeof *items);
    *count = 0;
    if (items == NULL || value.size == 0)
        return items;
    size_t start = 0;
    for (size_t i = 0; i <= value.size; i++) {
        if (i == value.size || value.data[i] == ' ') {
            items[(*count)++] = (struct slice){value.data + start, i - start};
            start = i + 1;
        }
    }
    return items;
}

int config_row_set(const struct config_row *row, struct config *draft, const struct slice *words,
                   size_t count, enum config_source source, struct config_error *error)
{
    struct slice *split = NULL;
    if (config_row_takes_words(row) && count == 1) {
        if (words[0].size > 64 * 1024) {
            error->reason = "argument too long";
            return -EINVAL;
        }
        split = split_spaces(words[0], &count);
        if (split == NULL) {
            error->reason = "out of memory";
            return -EINVAL;
        }
        words = split;
    }
    error->reason = set_words(row, draft, words, count, source, error);
    tu_free(split);
    if (error->reason == NULL)
        error->reason = config_row_check(row, draft);
    return error->reason == NULL ? 0 : -EINVAL;
}

/* ---- printing and comparing ---- */

static void print_enum(const struct config_row *row, int value, struct text *out)
{
    for (const struct config_word *w = row->words; w->word != NULL; w++) {
        if (w->value == value) {
            text_add_string(out, w->word);
            return;
        }
    }
    const char *between = "";
    for (const struct config_word *w = row->words; w->word != NULL; w++) {
        if (w->value != 0 && (value & w->value) == w->value) {
            text_addf(out, "%s%s", between, w->word);
            between = " ";
        }
    }
}

void config_row_print(const struct config_row *row, const struct config *config, struct text *out)
{
    const void *field = field_of(row, config);
    switch (row->kind) {
    case CONFIG_BOOL: text_add_string(out, *(const bool *)field ? "yes" : "no"); break;
    case CONFIG_NUMBER:
    case CONFIG_MEMORY: text_addf(out, "%" PRId64, *(const int64_t *)field); break;
    case CONFIG_PERCENT_OR_MEMORY: {
        int64_t value = *(const int64_t *)field;
        text_addf(out, value < 0 ? "%" PRId64 "%%" : "%" PRId64, value < 0 ? -value : value);
        break;
    }
    case CONFIG_ENUM: print_enum(row, *(const int *)field, out); break;
    default: text_add_string(out, *(const char *const *)field); break;
    }
}

bool config_row_equal(const struct config_row *row, const struct config *a, const struct config *b)
{
    const void *x = field_of(row, a), *y = field_of(row, b);
    switch (row->kind) {
    case CONFIG_BOOL: return *(const bool *)x == *(const bool *)y;
    case CONFIG_NUMBER:
    case CONFIG_MEMORY:
    case CONFIG_PERCENT_OR_MEMORY: return *(const int64_t *)x == *(const int64_t *)y;
    case CONFIG_ENUM: return *(const int *)x == *(const int *)y;
    default: return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    }
}

void config_row_reset(const struct config_row *row, struct config *draft)
{
    struct config_error error;
    void *field = field_of(row, draft);
    switch (row->kind) {
    case CONFIG_BOOL: *(bool *)field = row->number != 0; break;
    case CONFIG_NUMBER:
    case CONFIG_MEMORY:
    case CONFIG_PERCENT_OR_MEMORY: *(int64_t *)field = row->number; break;
    case CONFIG_STRING: tu_check(config_assign(field, slice_of(row->text)), "out of memory"); break;
    default: {
        struct slice word = slice_of(row->text);
        int rc = config_row_set(row, draft, &word, 1, CONFIG_FROM_COMMAND, &error);
        tu_check(rc == 0, "default of %s: %s", row->name, error.reason);
    }
    }
}
