/* cmd_hash_expire.c - fields that disappear: setting, asking and taking away their deadlines, and the commands that do so
 * while they read or write.
 *
 * The word FIELDS is looked for first: what stands before it are options, what follows are a number and that many fields.
 * Mistakes are reported in this order: options, number of fields, time, type; HGETEX and HSETEX look at the key before
 * the time. Hence parsers of their own.
 */
#include "base/number.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/hash.h"

#include <stdio.h>

enum {
    ID_FIELDS = 1,
    ID_NX,
    ID_XX,
    ID_GT,
    ID_LT,
    ID_FNX,
    ID_FXX,
    ID_EX, /* these four in this order: handler_deadline_option */
    ID_PX,
    ID_EXAT,
    ID_PXAT,
    ID_PERSIST,
    ID_KEEPTTL
};

/* What may stand before FIELDS. */
struct option {
    const char *word;
    unsigned id, group; /* two different ones of one group exclude each other */
    bool value;         /* a word follows */
};

/* ---- parsing ---- */

/* The number of fields at argv[at], which are `words` words each to the end of the line. */
static bool parse_fields(const struct slice *argv, size_t argc, size_t at, size_t words,
                         const char *mismatch, struct args *out, const char **error)
{
    int64_t count = 0;
    if (at < argc && !number_parse_int64(argv[at], &count)) {
        *error = ERR_NOT_INTEGER;
        return false;
    }
    if (count <= 0 || at >= argc || (uint64_t)count > argc ||
        (size_t)count * words != argc - at - 1) {
        *error = mismatch;
        return false;
    }
    args_set(out, ID_FIELDS, at + 1);
    return true;
}

/* Where FIELDS is, from word `at` on; argc: nowhere, or it is the last word. */
static size_t find_fields(const struct slice *argv, size_t argc, size_t at)
{
    while (at + 1 < argc && !slice_equal_nocase(argv[at], SLICE("fields")))
        at++;
    return at + 1 < argc ? at : argc;
}

static bool parse_asking(const struct slice *argv, size_t argc, const char *mismatch,
                         struct args *out, const char **error)
{
    out->present = 0;
    if (slice_equal_nocase(argv[2], SLICE("fields")))
        return parse_fields(argv, argc, 3, 1, mismatch, out, error);
    *error = ERR_SYNTAX;
    return false;
}

static bool parse_ttl(const struct command *command, const struct slice *argv, size_t argc,
                      struct args *out, const char **error)
{
    return parse_asking(argv, argc, ERR_SYNTAX, out, error);
}

static bool parse_take(const struct command *command, const struct slice *argv, size_t argc,
                       struct args *out, const char **error)
{
    return parse_asking(argv, argc, ERR_NUMFIELDS, out, error);
}

static bool parse_condition(struct slice word, size_t at, struct args *out, const char **error)
{
    static const char *const words[] = {
        [ID_NX] = "NX", [ID_XX] = "XX", [ID_GT] = "GT", [ID_LT] = "LT"};
    for (unsigned id = ID_NX; id <= ID_LT; id++) {
        if (slice_equal_nocase(word, slice_of(words[id]))) {
            args_set(out, id, at);
            return true;
        }
    }
    int shown = word.size < 128 ? (int)word.size : 128;
    snprintf(out->message, sizeof(out->message), ERR_EXPIRE_OPTION, shown, word.data);
    *error = out->message;
    return false;
}

static bool parse_expire(const struct command *command, const struct slice *argv, size_t argc,
                         struct args *out, const char **error)
{
    size_t fields = find_fields(argv, argc, 3);
    out->present = 0;
    for (size_t i = 3; i < fields && fields < argc; i++)
        if (!parse_condition(argv[i], i, out, error))
            return false;
    bool others = args_has(out, ID_XX) || args_has(out, ID_GT) || args_has(out, ID_LT);
    if (args_has(out, ID_NX) && others)
        *error = ERR_EXPIRE_NX;
    else if (args_has(out, ID_GT) && args_has(out, ID_LT))
        *error = ERR_EXPIRE_GT_LT;
    else
        return parse_fields(argv, argc, fields + 1, 1, ERR_NUMFIELDS, out, error);
    return false;
}

/* True if an option other than `o` of its group was given. */
static bool excluded(const struct option *options, const struct option *o, const struct args *out)
{
    for (const struct option *other = options; other->word; other++)
        if (other != o && other->group == o->group && args_has(out, other->id))
            return true;
    return false;
}

static bool parse_options(const struct option *options, const struct slice *argv, size_t argc,
                          size_t words, struct args *out, const char **error)
{
    size_t fields =
        find_fields(argv, argc, 1); /* a key of that name is taken for it, as the peers do */
    out->present = 0;
    for (size_t i = 2; i < fields && fields < argc; i++) {
        const struct option *o = options;
        while (o->word && !slice_equal_nocase(argv[i], slice_of(o->word)))
            o++;
        if (!o->word || excluded(options, o, out) || (o->value && i + 1 == fields)) {
            *error = ERR_SYNTAX;
            return false;
        }
        i += o->value;
        args_set(out, o->id, i);
    }
    return parse_fields(argv, argc, fields + 1, words, ERR_NUMFIELDS, out, error);
}

enum { GROUP_TIME, GROUP_KEY, GROUP_FIELDS };
#define OPTIONS_OF_TIME                                               \
    {"EX", ID_EX, GROUP_TIME, true}, {"PX", ID_PX, GROUP_TIME, true}, \
        {"EXAT", ID_EXAT, GROUP_TIME, true},                          \
    {                                                                 \
        "PXAT", ID_PXAT, GROUP_TIME, true                             \
    }

static bool parse_hgetex(const struct command *command, const struct slice *argv, size_t argc,
                         struct args *out, const char **error)
{
    static const struct option options[] = {
        OPTIONS_OF_TIME, {"PERSIST", ID_PERSIST, GROUP_TIME, false}, {0}};
    return parse_options(options, argv, argc, 1, out, error);
}

static bool parse_hsetex(const struct command *command, const struct slice *argv, size_t argc,
                         struct args *out, const char **error)
{
    static const struct option options[] = {OPTIONS_OF_TIME,
                                            {"KEEPTTL", ID_KEEPTTL, GROUP_TIME, false},
                                            {"NX", ID_NX, GROUP_KEY, false},
                                            {"XX", ID_XX, GROUP_KEY, false},
                                            {"FNX", ID_FNX, GROUP_FIELDS, false},
                                            {"FXX", ID_FXX, GROUP_FIELDS, false},
                                            {0}};
    return parse_options(options, argv, argc, 2, out, error);
}

/* A deadline: none before now is refused, one that is 0 or in the past is fine. */
static bool deadline(struct call *call, struct slice word, unsigned form, int64_t *at_ms)
{
    int64_t when;
    if (!handler_integer(call, word, &when))
        return false;
    if (when < 0) {
        reply_errorf(call->reply, ERR_EXPIRE_TIME, call->command->full_name);
        return false;
    }
    return handler_deadline(call, word, form | TIME_ANY_SIGN, at_ms);
}

/* What EX, PX, EXAT and PXAT say: EXPIRY_NONE if none was given. */
static bool option_deadline(struct call *call, int64_t *at_ms)
{
    struct slice word;
    unsigned form;
    *at_ms = EXPIRY_NONE;
    return !handler_deadline_option(call, ID_EX, &word, &form) || deadline(call, word, form, at_ms);
}

/* ---- setting ---- */

/* Opens the hash; false: it is no hash, and the error has been replied. */
static bool open_hash(struct call *call, enum lookup_how how, struct hash_view *v)
{
    if (hash_open(call->tx, handler_first_key(call), how, v) != STORE_WRONG_TYPE)
        return true;
    handler_error(call, STORE_WRONG_TYPE);
    return false;
}

/* The head of a reply with an element for each field: where the fields begin in argv. */
static size_t reply_fields_head(struct call *call)
{
    size_t first = args_at(call->args, ID_FIELDS);
    reply_array(call->reply, call->argc - first);
    return first;
}

static void reply_result(struct call *call, enum store_result rc)
{
    switch (rc) {
    case STORE_OK: reply_integer(call->reply, 1); break;
    case STORE_EXISTS: reply_integer(call->reply, 2); break;
    case STORE_NOT_MET: reply_integer(call->reply, 0); break;
    case STORE_MISSING: reply_integer(call->reply, -2); break;
    default: handler_error(call, rc);
    }
}

static const char *event_of(const struct call *call, int64_t at_ms)
{
    return at_ms == EXPIRY_NONE ? "hpersist" : at_ms <= call->tx->now_ms ? "hexpired" : "hexpire";
}

static void expire(struct call *call, unsigned form)
{
    struct hash_view v;
    int64_t at_ms;
    uint32_t conditions = 0;
    if (!deadline(call, call->argv[2], form, &at_ms) || !open_hash(call, LOOKUP_WRITE, &v))
        return;
    conditions |= args_has(call->args, ID_NX) ? EXPIRE_NX : 0;
    conditions |= args_has(call->args, ID_XX) ? EXPIRE_XX : 0;
    conditions |= args_has(call->args, ID_GT) ? EXPIRE_GT : 0;
    conditions |= args_has(call->args, ID_LT) ? EXPIRE_LT : 0;
    for (size_t i = reply_fields_head(call); i < call->argc; i++)
        reply_result(call, hash_set_deadline(&v, call->argv[i], at_ms, conditions));
    hash_commit(&v, event_of(call, at_ms));
}

static void run_hexpire(struct call *call)
{
    expire(call, TIME_SECONDS);
}

static void run_hpexpire(struct call *call)
{
    expire(call, TIME_MILLISECONDS);
}

static void run_hexpireat(struct call *call)
{
    expire(call, TIME_SECONDS | TIME_ABSOLUTE);
}

static void run_hpexpireat(struct call *call)
{
    expire(call, TIME_MILLISECONDS | TIME_ABSOLUTE);
}

static void run_hpersist(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, LOOKUP_WRITE, &v))
        return;
    for (size_t i = reply_fields_head(call); i < call->argc; i++) {
        enum store_result rc = hash_set_deadline(&v, call->argv[i], EXPIRY_NONE, 0);
        if (rc == STORE_NOT_MET)
            reply_integer(call->reply, -1);
        else
            reply_result(call, rc);
    }
    hash_commit(&v, "hpersist");
}

/* ---- asking ---- */

/* -2: no such field; -1: it has no deadline. Seconds are rounded to the nearest. */
static void ask(struct call *call, unsigned form)
{
    struct hash_view v;
    if (!open_hash(call, LOOKUP_READ, &v))
        return;
    for (size_t i = reply_fields_head(call); i < call->argc; i++) {
        int64_t at_ms;
        bool there = hash_deadline(&v, call->argv[i], &at_ms);
        int64_t value = form & TIME_ABSOLUTE ? at_ms : at_ms - call->tx->now_ms;
        if (!there || at_ms == EXPIRY_NONE)
            reply_integer(call->reply, there ? -1 : -2);
        else
            reply_integer(call->reply,
                          form & TIME_MILLISECONDS ? value : value / 1000 + (value % 1000 >= 500));
    }
}

static void run_httl(struct call *call)
{
    ask(call, TIME_SECONDS);
}

static void run_hpttl(struct call *call)
{
    ask(call, TIME_MILLISECONDS);
}

static void run_hexpiretime(struct call *call)
{
    ask(call, TIME_SECONDS | TIME_ABSOLUTE);
}

static void run_hpexpiretime(struct call *call)
{
    ask(call, TIME_MILLISECONDS | TIME_ABSOLUTE);
}

/* ---- reading and writing with a deadline ---- */

/* True, and the value replied, if there is such a field; else null is. */
static bool reply_field(struct call *call, const struct hash_view *v, struct slice field)
{
    struct hash_text value;
    bool there = hash_get(v, field, &value);
    if (there)
        reply_bulk(call->reply, value.bytes);
    else
        reply_null(call->reply);
    return there;
}

static void run_hgetdel(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, LOOKUP_WRITE, &v))
        return;
    for (size_t i = reply_fields_head(call); i < call->argc; i++)
        if (reply_field(call, &v, call->argv[i]))
            hash_take(&v, call->argv[i]);
    hash_commit(&v, "hdel");
}

/* A deadline that memory does not suffice for: the field keeps the one it had. */
static void run_hgetex(struct call *call)
{
    struct hash_view v;
    int64_t at_ms;
    if (!open_hash(call, LOOKUP_READ, &v) || !option_deadline(call, &at_ms))
        return;
    bool changes = at_ms != EXPIRY_NONE || args_has(call->args, ID_PERSIST);
    for (size_t i = reply_fields_head(call); i < call->argc; i++)
        if (reply_field(call, &v, call->argv[i]) && changes)
            (void)hash_set_deadline(&v, call->argv[i], at_ms, 0);
    hash_commit(&v, event_of(call, at_ms));
}

static void run_hsetex(struct call *call)
{
    struct hash_view v;
    struct hash_set_options options = {.keep_ttl = args_has(call->args, ID_KEEPTTL)};
    if (!open_hash(call, LOOKUP_PEEK, &v))
        return;
    if (args_has(call->args, v.f.entry ? ID_NX : ID_XX)) {
        reply_integer(call->reply, 0);
        return;
    }
    if (!option_deadline(call, &options.at_ms))
        return;
    options.conditions |= args_has(call->args, ID_FNX) ? HASH_FIELDS_NX : 0;
    options.conditions |= args_has(call->args, ID_FXX) ? HASH_FIELDS_XX : 0;
    size_t first = args_at(call->args, ID_FIELDS);
    enum store_result rc = hash_set_with(call->tx, handler_first_key(call), call->argv + first,
                                         (call->argc - first) / 2, &options);
    if (rc == STORE_OK || rc == STORE_NOT_MET)
        reply_integer(call->reply, rc == STORE_OK);
    else
        handler_error(call, rc);
}

/* ---- rows ---- */

#define HASH_ROW(name, run, words, version, cost) \
    ROW_ON_KEYS(name, run, words, "hash", ACL_HASH, version, cost)

#define FIELDS_BLOCK(spec)                                                   \
    ARG_BLOCK("fields", (.token = "FIELDS"), ARG_INTEGER("numfields", spec), \
              ARG_STRING("field", ARG_MULTIPLE))
#define CONDITION(...)                                                           \
    ARG_ONEOF("condition", (ARG_OPTIONAL, ##__VA_ARGS__), ARG_TOKEN("nx", "NX"), \
              ARG_TOKEN("xx", "XX"), ARG_TOKEN("gt", "GT"), ARG_TOKEN("lt", "LT"))
#define TIMES                                                                          \
    ARG_INTEGER("seconds", .token = "EX"), ARG_INTEGER("milliseconds", .token = "PX"), \
        ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT"),                           \
        ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT")

static const struct command rows[] = {
    {HASH_ROW("HEXPIRE", run_hexpire, -6, "9.0.0", "O(N)"), .parse = parse_expire,
     .flags = CMD_FAST | CMD_WRITE, .summary = "Sets in how many seconds fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("seconds"), CONDITION(), FIELDS_BLOCK(.key_spec = 0))},
    {HASH_ROW("HEXPIREAT", run_hexpireat, -6, "9.0.0", "O(N)"), .parse = parse_expire,
     .flags = CMD_FAST | CMD_WRITE,
     .summary = "Sets at which Unix time, in seconds, fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("unix-time-seconds"), CONDITION(.since = "9.0.0"),
              FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HEXPIRETIME", run_hexpiretime, -5, "9.0.0", "O(N)"), .parse = parse_ttl,
     .flags = CMD_FAST | CMD_READONLY,
     .summary = "Tells the Unix time, in seconds, at which fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HGETDEL", run_hgetdel, -5, "9.1.0", "O(N)"), .parse = parse_take,
     .flags = CMD_FAST | CMD_WRITE, .summary = "Tells the values of fields and removes them.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HGETEX", run_hgetex, -5, "9.0.0", "O(N)"), .parse = parse_hgetex,
     .flags = CMD_FAST | CMD_WRITE,
     .summary = "Tells the values of fields and changes when they expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("expiration", (ARG_OPTIONAL), TIMES, ARG_TOKEN("persist", "PERSIST")),
              FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HPERSIST", run_hpersist, -5, "9.0.0", "O(N)"), .parse = parse_take,
     .flags = CMD_FAST | CMD_WRITE, .summary = "Takes the expiry of fields away.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HPEXPIRE", run_hpexpire, -6, "9.0.0", "O(N)"), .parse = parse_expire,
     .flags = CMD_FAST | CMD_WRITE, .summary = "Sets in how many milliseconds fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("milliseconds"), CONDITION(.since = "9.0.0"),
              FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HPEXPIREAT", run_hpexpireat, -6, "9.0.0", "O(N)"), .parse = parse_expire,
     .flags = CMD_FAST | CMD_WRITE,
     .summary = "Sets at which Unix time, in milliseconds, fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("unix-time-milliseconds"), CONDITION(.since = "9.0.0"),
              FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HPEXPIRETIME", run_hpexpiretime, -5, "9.0.0", "O(N)"), .parse = parse_ttl,
     .flags = CMD_FAST | CMD_READONLY,
     .summary = "Tells the Unix time, in milliseconds, at which fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HPTTL", run_hpttl, -5, "9.0.0", "O(N)"), .parse = parse_ttl,
     .flags = CMD_FAST | CMD_READONLY, .summary = "Tells in how many milliseconds fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
    {HASH_ROW("HSETEX", run_hsetex, -6, "9.0.0", "O(N)"), .parse = parse_hsetex,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE, .summary = "Sets fields and when they expire.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(
         ARG_KEY("key", 0),
         ARG_ONEOF("key-condition", (ARG_OPTIONAL), ARG_TOKEN("nx", "NX"), ARG_TOKEN("xx", "XX")),
         ARG_ONEOF("fields-condition", (ARG_OPTIONAL), ARG_TOKEN("fnx", "FNX"),
                   ARG_TOKEN("fxx", "FXX")),
         ARG_ONEOF("expiration", (ARG_OPTIONAL), TIMES, ARG_TOKEN("keepttl", "KEEPTTL")),
         ARG_BLOCK("fields", (.token = "FIELDS"), ARG_INTEGER("numfields", .key_spec = 1),
                   ARG_BLOCK("data", (ARG_MULTIPLE), ARG_STRING("field"), ARG_STRING("value"))))},
    {HASH_ROW("HTTL", run_httl, -5, "9.0.0", "O(N)"), .parse = parse_ttl,
     .flags = CMD_FAST | CMD_READONLY, .summary = "Tells in how many seconds fields expire.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), FIELDS_BLOCK(.key_spec = 1))},
};
const struct command_family hash_expire_family = COMMAND_FAMILY(rows);
