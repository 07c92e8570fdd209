/* handler.h - what the handlers of all families share: keys of a call, numbers from its words, and the
 * usual reply to each result of the store.
 *
 * For handlers only. Functions that return bool reply the error themselves when they return false;
 * the handler then returns. Nothing here parks.
 */
#pragma once

#include "server/arguments.h"
#include "server/command.h"
#include "store/keyspace.h"

struct config;

/* Key number `nth` of the call in the order of its key specifications, which stands at argv[word]. */
static inline struct store_key handler_key(const struct call *call, size_t nth, size_t word)
{
    return (struct store_key){call->argv[word], call->key_hashes[nth]};
}

/* The same for a command that goes through all its keys in order: those behind it are requested from memory. */
static inline struct store_key handler_key_ahead(const struct call *call, size_t nth, size_t word)
{
    if (nth % KEYSPACE_AHEAD == 0 && call->key_count > 1)
        keyspace_prefetch_keys(call->tx, call->key_hashes, call->key_count, nth);
    return handler_key(call, nth, word);
}

/* The only key, at argv[1]. */
static inline struct store_key handler_first_key(const struct call *call)
{
    return handler_key(call, 0, 1);
}

/* The configuration as of this batch of commands. */
const struct config *handler_config(const struct call *call);

/* A decimal int64; "ERR value is not an integer or out of range". */
bool handler_integer(const struct call *call, struct slice word, int64_t *out);
/* A database number: NULL, or what MOVE and COPY say when it is no number, no int or no database. */
const char *handler_database(const struct call *call, struct slice word, uint32_t *out);

/* The error for a result that is one in every command: wrong type, no memory, not a number ...
 * Results that are an answer rather than an error (missing, condition not met) are a bug here. */
void handler_error(const struct call *call, enum store_result result);

enum handler_time {
    TIME_SECONDS = 0,
    TIME_MILLISECONDS = 1 << 0,
    TIME_ABSOLUTE = 1 << 1, /* Unix time; else from now */
    TIME_ANY_SIGN = 1 << 2, /* zero and less are allowed: a deadline in the past */
};
/* An expiry in any of its four forms as Unix milliseconds; "ERR invalid expire time in '...' command"
 * when it is out of range. */
bool handler_deadline(const struct call *call, struct slice word, unsigned form, int64_t *at_ms);

/* How long a command waits, in seconds or (whole) milliseconds; 0: for ever. */
bool handler_timeout(const struct call *call, struct slice seconds, int64_t *timeout_ms);
bool handler_timeout_ms(const struct call *call, struct slice word, int64_t *timeout_ms);

/* Which of EX, PX, EXAT and PXAT was given, whose ids in the row are `ex` and the three after it: *word is its value, *form the
 * above. False: none. */
bool handler_deadline_option(const struct call *call, unsigned ex, struct slice *word,
                             unsigned *form);

/* Checks of numkeys and of COUNT where several keys are popped from: above 0. */
const char *handler_check_numkeys(struct slice word, struct args *out);
const char *handler_check_pop_count(struct slice word, struct args *out);

/* A row's `parse` for commands that look at their keys, or at the configuration, before or between
 * their options: the handler calls args_match itself. */
bool handler_parses_itself(const struct command *command, const struct slice *argv, size_t argc,
                           struct args *out, const char **error);

/* A cursor as strtoull reads it, which is what clients have come to rely on: up to a NUL; blanks and a sign before the digits are
 * fine, though a plain negative number is not. */
bool handler_cursor(struct slice word, uint64_t *cursor);

/* What MATCH and COUNT of SSCAN, HSCAN and ZSCAN say; `match` and `count` are their ids in the row, whose COUNT has
 * handler_check_scan_count as its check. */
struct handler_scan {
    struct slice pattern;
    bool any; /* every element matches: there is no pattern, or it is one that cannot fail */
    uint64_t count;
};
const char *handler_check_scan_count(struct slice word, struct args *out);
struct handler_scan handler_scan_options(const struct call *call, unsigned match, unsigned count);

/* SCAN, SSCAN and ZSCAN know that HSCAN has NOVALUES: what is wrong with the options at argv[3] and behind, which
 * args_match has refused with `error`. */
const char *handler_scan_error(const struct call *call, const char *error);

/* The reply to a HELP subcommand: a heading that names the container, `lines`, and HELP itself. */
void handler_help(const struct call *call, const char *const *lines, size_t count);
