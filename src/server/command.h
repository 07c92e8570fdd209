/* command.h - a command is a row.
 *
 * One row is the single source of a command: name, arity, keys, flags, ACL classes, argument
 * grammar, documentation and handler. Dispatch, COMMAND and COMMAND DOCS, key extraction, the fuzz
 * dictionary and the documentation are read from it. Rows are constant; families are listed in
 * command_table.c. Facts (names, arity, flags, grammar) follow Valkey 9.1; prose is our own.
 *
 * A handler gets a struct call: parsed arguments, one store operation, one reply. When it starts,
 * the shards of the keys that the row declares are locked in call->tx (scope SCOPE_KEYS), or all of
 * them (SCOPE_ALL), or none (SCOPE_NONE; SCOPE_SELF: the handler locks as it goes, unless
 * transaction_holds_all(call->tx), as inside EXEC). It must not park while the tx holds locks.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct server;
struct reply;
struct transaction;
struct command;
struct arg;  /* one node of an argument grammar: server/arguments.h */
struct args; /* the result of parsing: server/arguments.h */

/* The order is not on any wire. Names as COMMAND INFO prints them. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_COMMANDLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13,
    CMD_NO_ASYNC_LOADING = 1 << 14,
    CMD_NO_MULTI = 1 << 15,
    CMD_ALLOW_BUSY = 1 << 16,
    CMD_MOVABLE_KEYS = 1 << 17,
    CMD_NO_MANDATORY_KEYS = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    /* not printed */
    CMD_MAY_REPLICATE = 1 << 23, /* changes something, or is for replicas too, without CMD_WRITE */
    CMD_IMMEDIATE_IN_MULTI =
        1 << 24, /* runs instead of being queued: EXEC DISCARD MULTI WATCH QUIT RESET */
};

enum command_scope { SCOPE_NONE, SCOPE_KEYS, SCOPE_ALL, SCOPE_SELF };

/* Everything a handler is given. Lives on the dispatcher's stack. */
struct call {
    struct server *server;
    struct client *client;
    const struct command *command; /* the row that matched; a subcommand's own row */
    const struct slice
        *argv; /* argv[0] is the command's name as sent; bytes live until the reply is done */
    size_t argc;
    const uint64_t *key_hashes; /* hash of the i-th declared key, in command_keys order */
    size_t key_count;
    struct args *args;      /* parsed by the row's grammar; NULL when the row has none */
    struct transaction *tx; /* never NULL; db, clock and locks of this call */
    struct reply *reply;
    size_t request_bytes; /* as they came; of a queued command: EXEC's */
    size_t reply_start;   /* reply_size before the call; of a queued command: before EXEC's reply */
    bool
        serving; /* the client is blocked, and it is looked whether there is something for it now: blocked.h */
};
typedef void (*command_fn)(struct call *call);

/* Where keys are, as COMMAND INFO's key specifications say it. */
enum key_flag {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};
enum key_begin { KEY_BEGIN_NONE, KEY_BEGIN_INDEX, KEY_BEGIN_KEYWORD, KEY_BEGIN_UNKNOWN };
enum key_find { KEY_FIND_RANGE, KEY_FIND_KEYNUM, KEY_FIND_UNKNOWN };
struct key_spec {
    uint32_t flags;
    enum key_begin begin;
    int begin_index;           /* INDEX: argv position; KEYWORD: where the search starts */
    const char *begin_keyword; /* KEYWORD */
    enum key_find find;
    int last, step, limit; /* RANGE: last relative to the first key (-1: to the end) */
    int keynum_index, first_key, keynum_step; /* KEYNUM: relative to the begin position */
    const char *notes;
};
/* The common ones: one key at a word; keys from a word to the end, each the first of `words_each` words. */
#define KEY_AT(word, flag_bits)                                                \
    {                                                                          \
        .flags = (flag_bits), .begin = KEY_BEGIN_INDEX, .begin_index = (word), \
        .find = KEY_FIND_RANGE, .last = 0, .step = 1                           \
    }
#define KEYS_FROM(word, words_each, flag_bits)                                 \
    {                                                                          \
        .flags = (flag_bits), .begin = KEY_BEGIN_INDEX, .begin_index = (word), \
        .find = KEY_FIND_RANGE, .last = -1, .step = (words_each)               \
    }
/* The number of keys at a word, then the keys. */
#define KEYS_COUNTED(word, words_each, flag_bits)                                               \
    {                                                                                           \
        .flags = (flag_bits), .begin = KEY_BEGIN_INDEX, .begin_index = (word),                  \
        .find = KEY_FIND_KEYNUM, .keynum_index = 0, .first_key = 1, .keynum_step = (words_each) \
    }

/* Categories, in the order in which COMMAND INFO prints them. */
enum acl_category {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};
enum { ACL_CATEGORY_COUNT = 21 };

/* COMMAND DOCS's doc_flags. */
enum doc_flag { DOC_DEPRECATED = 1 << 0, DOC_SYSCMD = 1 << 1 };

/* A row's own parser, where a grammar cannot say what Redis accepts: as args_parse (arguments.h). */
typedef bool (*command_parse_fn)(const struct command *command, const struct slice *argv,
                                 size_t argc, struct args *out, const char **error);

/* True if word `index` must not be shown to others: a password. */
typedef bool (*command_secret_fn)(const struct slice *argv, size_t argc, size_t index);

enum { COMMAND_ALWAYS_PLAIN = 0xffffffffu }; /* of plain_argc: no number of words needs matching */

struct command {
    const char *name; /* upper case; a subcommand's row has only its own word */
    command_fn run;   /* NULL: only its subcommands run */
    int arity;        /* words, the name included; negative: at least that many */
    uint32_t flags;   /* enum command_flag */
    uint32_t acl;     /* acl_category bits beyond those that the flags imply (read, write, admin,
                                dangerous of admin, pubsub, fast, slow, blocking) */
    enum command_scope scope;
    const char *group; /* "string", "generic", "connection", ... */
    const struct key_spec *keys;
    size_t key_spec_count;
    const struct arg *args; /* grammar; NULL: none */
    size_t arg_count;
    const struct command *subcommands;
    size_t subcommand_count;
    const char *since, *complexity, *summary; /* complexity: NULL where there is none to tell */
    const char *const *tips;                  /* NULL-terminated, or NULL */
    const char *const *history;               /* pairs version, text; NULL-terminated, or NULL */
    command_parse_fn parse;                   /* NULL: the grammar decides */
    command_secret_fn secret;                 /* NULL: every word may be shown */
    uint32_t doc_flags;                       /* enum doc_flag */
    const char *deprecated_since, *replaced_by;

    /* What follows is worked out by command_table.c in its own copy of the row; rows leave it out. */
    const struct command *parent; /* the container of a subcommand */
    const char *full_name;        /* "set", "client|list" */
    uint32_t id;
    uint32_t plain_argc; /* number of words at which there is nothing to parse: arguments.h */
    uint32_t lead_args;  /* nodes of the grammar at its start that need no matching */
    bool only_options;   /* all the others are options */
    uint32_t categories; /* acl and what the flags imply */
    int32_t first_key, last_key, key_step; /* the oldest form of key positions; all 0: none */
};

/* The rows of one file of commands/. Each defines one, and command_table.c lists them:
 *     static const struct command rows[] = { {.name = "GET", ...}, ... };
 *     const struct command_family string_family = COMMAND_FAMILY(rows); */
struct command_family {
    const struct command *rows;
    size_t count;
};
/* What every row of a family has in common, and what none goes without. */
#define ROW_ON_KEYS(command_name, handler, words, group_name, acl_class, version, cost) \
    .name = (command_name), .run = (handler), .arity = (words), .acl = (acl_class),     \
    .scope = SCOPE_KEYS, .group = (group_name), .since = (version), .complexity = (cost)
/* The parts of a row that are arrays, written in place (server/arguments.h has ROW_ARGS). */
#define ROW__SIZE(type, ...) (sizeof((const type[]){__VA_ARGS__}) / sizeof(type))
#define ROW_KEYS(...)                               \
    .keys = (const struct key_spec[]){__VA_ARGS__}, \
    .key_spec_count = ROW__SIZE(struct key_spec, __VA_ARGS__)
#define ROW_SUBCOMMANDS(...)                              \
    .subcommands = (const struct command[]){__VA_ARGS__}, \
    .subcommand_count = ROW__SIZE(struct command, __VA_ARGS__)
#define ROW_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL}) /* tips, history */
#define COMMAND_FAMILY(array)                       \
    {                                               \
        (array), sizeof(array) / sizeof((array)[0]) \
    }

/* Finds the row for argv: the command, or where it has subcommands and argv names one, that.
 * NULL: unknown command; *parent is then the container if only the subcommand is unknown. */
const struct command *command_lookup(const struct slice *argv, size_t argc,
                                     const struct command **parent);
/* True if argc fits the row's arity. */
bool command_arity_ok(const struct command *command, size_t argc);

/* Positions of keys in argv by the row's key specifications: their number, or -1 when the arguments
 * do not fit. `positions` has room for `capacity`; more than that are counted, not stored. */
int command_keys(const struct command *command, const struct slice *argv, size_t argc,
                 uint32_t *positions, size_t capacity);
/* The same; flags[i] (may be NULL) is what the call does with the key: enum key_flag. */
int command_keys_with_flags(const struct command *command, const struct slice *argv, size_t argc,
                            uint32_t *positions, uint32_t *flags, size_t capacity);
/* True if the row declares keys at all (they may still number 0 in a call). */
static inline bool command_has_keys(const struct command *command)
{
    return command->key_spec_count != 0;
}

/* "set" or "client|list", as INFO commandstats and errors print it. Static storage of the row. */
static inline const char *command_full_name(const struct command *command)
{
    return command->full_name;
}

/* A stable small number per row (containers and subcommands each have one), for statistics. */
static inline unsigned command_id(const struct command *command)
{
    return command->id;
}
unsigned command_id_count(void);
const struct command *command_by_id(unsigned id);
static inline const struct command *command_parent(const struct command *command)
{
    return command->parent; /* NULL: top level */
}

/* The table: all top-level rows, in name order. */
size_t command_count(void);
const struct command *command_at(size_t index);
/* By a printed name, any case: "get", "config|get". NULL: none. */
const struct command *command_by_name(struct slice name);

/* rename-command: from now on `command` answers to `new_name` only; an empty one removes it. Before
 * the server takes connections only. 0, -ENOENT (no such command), -EEXIST (the new name is taken). */
int command_rename(struct slice name, struct slice new_name) __attribute__((warn_unused_result));

/* Names as COMMAND INFO prints them: "denyoom", "keyspace" (no @). NULL past the last. */
const char *command_flag_name(uint32_t bit);
const char *acl_category_name(unsigned index);
