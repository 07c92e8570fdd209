/* arguments.h - argument grammars as constant data, and the one parser that reads them.
 *
 * A row of the command table carries its grammar as an array of nodes. COMMAND DOCS prints it and
 * args_parse() matches argv[1..] against it, so that what is documented is what is accepted. A row
 * reads like this:
 *
 *     enum { SET_NX = 1, SET_XX, SET_GET, SET_EX, SET_PX };    // ids the handler asks for, from 1
 *     {.name = "SET", ...
 *      ROW_ARGS(ARG_KEY("key", 0),                             // 0: index in ROW_KEYS
 *               ARG_STRING("value"),
 *               ARG_ONEOF("condition", (ARG_OPTIONAL),
 *                         ARG_TOKEN("nx", "NX", .id = SET_NX, .since = "2.6.12"),
 *                         ARG_TOKEN("xx", "XX", .id = SET_XX)),
 *               ARG_TOKEN("get", "GET", ARG_OPTIONAL, .id = SET_GET),
 *               ARG_ONEOF("expiration", (ARG_OPTIONAL),
 *                         ARG_INTEGER("seconds", .token = "EX", .id = SET_EX),
 *                         ARG_INTEGER("milliseconds", .token = "PX", .id = SET_PX)))},
 *
 * and its handler like this:
 *
 *     if (args_has(call->args, SET_GET)) ...
 *     if (args_has(call->args, SET_EX)) seconds = argv[args_at(call->args, SET_EX)];
 *
 * Rules of matching. Words are taken from left to right. Neighbouring optional nodes that begin with
 * a token (an option) are taken in any order; tokens match whatever their case. An option given
 * again replaces the former (`once`: is an error); two different alternatives of a oneof are an
 * error. A node that repeats takes as much as leaves enough words for what must follow. Whatever
 * does not fit is "ERR syntax error". Values are not converted here: the handler does that, with the
 * error text of its command, unless the node has a `check`, which is called as soon as the value is
 * met (where Redis complains about a value before it looks at the words after it).
 *
 * Positional words before the first option have fixed places: handlers take them from argv. A
 * command all of whose words are such, or that was sent without options, is not matched at all.
 *
 * Grammars are constant; parsing allocates nothing, never parks and is bounded by argc times the
 * number of nodes. Any thread.
 */
#pragma once

#include "server/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* COMMAND DOCS's names of these: string, integer, double, key, pattern, unix-time, pure-token,
 * oneof, block. */
enum arg_type {
    ARG_TYPE_STRING,
    ARG_TYPE_INTEGER,
    ARG_TYPE_DOUBLE,
    ARG_TYPE_KEY,
    ARG_TYPE_PATTERN,
    ARG_TYPE_UNIX_TIME,
    ARG_TYPE_PURE_TOKEN,
    ARG_TYPE_ONEOF, /* exactly one of the children */
    ARG_TYPE_BLOCK, /* all of the children, in order */
};

/* NULL: fine; else the error to reply, which begins with its code: static text, or out->message. */
typedef const char *(*arg_check)(struct slice value, struct args *out);

struct arg {
    const char *name; /* lower case, as COMMAND DOCS prints it */
    const char *
        token; /* the word before the value or the children; the word itself for a pure token; NULL: none */
    const char *display; /* NULL: the name */
    const char *since;   /* NULL: as the command */
    const char *deprecated_since;
    const char *summary;        /* NULL: none */
    const struct arg *children; /* of a oneof or a block */
    uint8_t child_count;
    uint8_t type; /* enum arg_type */
    uint8_t id;   /* 0: the handler does not ask for it; else below ARGS_MAX, unique in the row */
    uint8_t key_spec; /* 1 + index in the row's key specifications; 0: none */
    uint8_t
        repeats_by; /* id of the node before it whose value says how often this repeats; 0: none */
    bool optional, multiple, multiple_token;
    bool once; /* giving it twice is an error */
    arg_check check;
};

/* Attributes, for the (...) of ARG_ONEOF and ARG_BLOCK and the tail of the others; any field of
 * struct arg may stand beside them (.token = "X"). */
#define ARG_OPTIONAL       .optional = true
#define ARG_MULTIPLE       .multiple = true
#define ARG_MULTIPLE_TOKEN .multiple = true, .multiple_token = true

#define ARG__LEAF(kind, n, ...)                    \
    {                                              \
        .name = (n), .type = (kind), ##__VA_ARGS__ \
    }
#define ARG_STRING(n, ...)      ARG__LEAF(ARG_TYPE_STRING, n, ##__VA_ARGS__)
#define ARG_INTEGER(n, ...)     ARG__LEAF(ARG_TYPE_INTEGER, n, ##__VA_ARGS__)
#define ARG_DOUBLE(n, ...)      ARG__LEAF(ARG_TYPE_DOUBLE, n, ##__VA_ARGS__)
#define ARG_PATTERN(n, ...)     ARG__LEAF(ARG_TYPE_PATTERN, n, ##__VA_ARGS__)
#define ARG_UNIX_TIME(n, ...)   ARG__LEAF(ARG_TYPE_UNIX_TIME, n, ##__VA_ARGS__)
#define ARG_KEY(n, spec, ...)   ARG__LEAF(ARG_TYPE_KEY, n, .key_spec = (spec) + 1, ##__VA_ARGS__)
#define ARG_TOKEN(n, word, ...) ARG__LEAF(ARG_TYPE_PURE_TOKEN, n, .token = (word), ##__VA_ARGS__)

#define ARG__ATTRIBUTES(...) __VA_ARGS__
#define ARG__PARENT(kind, n, attributes, ...)                                          \
    {                                                                                  \
        .name = (n), .type = (kind), .children = (const struct arg[]){__VA_ARGS__},    \
        .child_count = sizeof((const struct arg[]){__VA_ARGS__}) / sizeof(struct arg), \
        ARG__ATTRIBUTES attributes                                                     \
    }
#define ARG_ONEOF(n, attributes, ...) ARG__PARENT(ARG_TYPE_ONEOF, n, attributes, __VA_ARGS__)
#define ARG_BLOCK(n, attributes, ...) ARG__PARENT(ARG_TYPE_BLOCK, n, attributes, __VA_ARGS__)
#define ARG_COUNT(array)              (sizeof(array) / sizeof((array)[0]))
/* The grammar of a row, written in place. */
#define ROW_ARGS(...) \
    .args = (const struct arg[]){__VA_ARGS__}, .arg_count = ROW__SIZE(struct arg, __VA_ARGS__)

enum {
    ARGS_MAX = 64,         /* ids of one row are below this */
    ARGS_OPTIONS_MAX = 64, /* neighbouring options in a grammar, at most */
};

/* What was found. Lives on the dispatcher's stack; `first` and `count` of an id are set only where it
 * is present. */
struct args {
    uint64_t present; /* bit per id */
    uint32_t
        first[ARGS_MAX]; /* argv index of the value; of the token for a pure token; of the first
                                 word of the (first) block */
    uint32_t count[ARGS_MAX]; /* how often it was given */
    const void *context;      /* for checks: set by a handler that calls args_match itself */
    char message[192];        /* room for an error text that quotes an argument */
};

static inline bool args_has(const struct args *args, unsigned id)
{
    return args != NULL && (args->present >> id & 1) != 0;
}

/* Only where args_has(). */
static inline size_t args_at(const struct args *args, unsigned id)
{
    return args->first[id];
}

static inline size_t args_count(const struct args *args, unsigned id)
{
    return args_has(args, id) ? args->count[id] : 0;
}

/* For a row's own parser: notes that `id` was found at argv[index]. */
void args_set(struct args *args, unsigned id, size_t index);

/* The general matcher, whatever fast paths there are. False: *error is the text to reply, static or
 * in out->message. The arity has been checked. */
bool args_match(const struct command *command, const struct slice *argv, size_t argc,
                struct args *out, const char **error);

/* What the dispatcher calls, after the arity check and before any lock: fills *out, or says false and
 * gives the text to reply in *error (it lives as long as *out). Costs a compare for commands without
 * options. */
static inline bool args_parse(const struct command *command, const struct slice *argv, size_t argc,
                              struct args *out, const char **error)
{
    out->present = 0;
    if (argc == command->plain_argc || command->plain_argc == COMMAND_ALWAYS_PLAIN)
        return true;
    if (command->parse != NULL)
        return command->parse(command, argv, argc, out, error);
    return args_match(command, argv, argc, out, error);
}

/* Once for each row, by command_table.c: the number of words at which it needs no matching
 * (COMMAND_ALWAYS_PLAIN, or 0 for never), and the other shortcuts of args_match. Wants `parent`. */
void args_derive(struct command *command);

/* COMMAND DOCS's name of a type. */
const char *arg_type_name(enum arg_type type);
