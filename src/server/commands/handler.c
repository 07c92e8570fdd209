/* handler.c - the small things every handler needs. */
#include "server/commands/handler.h"

#include "base/check.h"
#include "base/glob.h"
#include "base/number.h"
#include "server/client.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

const struct config *handler_config(const struct call *call)
{
    return call->client->pin.config;
}

bool handler_integer(const struct call *call, struct slice word, int64_t *out)
{
    if (number_parse_int64(word, out))
        return true;
    reply_error(call->reply, ERR_NOT_INTEGER);
    return false;
}

const char *handler_database(const struct call *call, struct slice word, uint32_t *out)
{
    int64_t number;
    if (!number_parse_int64(word, &number))
        return ERR_NOT_INTEGER;
    if (number < INT_MIN || number > INT_MAX)
        return ERR_NOT_INT;
    if (number < 0 || number >= (int64_t)keyspace_databases(call->tx->keyspace))
        return ERR_DB_RANGE;
    *out = (uint32_t)number;
    return NULL;
}

void handler_error(const struct call *call, enum store_result result)
{
    const char *text = NULL;
    switch (result) {
    case STORE_MISSING: text = ERR_NO_KEY; break;
    case STORE_WRONG_TYPE: text = ERR_WRONG_TYPE; break;
    case STORE_NOT_INTEGER: text = ERR_NOT_INTEGER; break;
    case STORE_NOT_FLOAT: text = ERR_NOT_FLOAT; break;
    case STORE_OVERFLOW: text = ERR_OVERFLOW; break;
    case STORE_NAN: text = ERR_NAN; break;
    case STORE_TOO_BIG: text = ERR_STRING_TOO_BIG; break;
    case STORE_OUT_OF_RANGE: text = ERR_OUT_OF_RANGE; break;
    case STORE_SAME: text = ERR_SAME_OBJECT; break;
    case STORE_NOT_HLL: text = ERR_NOT_HLL; break;
    case STORE_CORRUPT: text = ERR_CORRUPT_HLL; break;
    case STORE_NO_MEMORY: text = ERR_NO_MEMORY; break;
    case STORE_POSTPONED: return; /* it is run again */
    case STORE_OK:
    case STORE_NOT_MET:
    case STORE_EXISTS: break;
    }
    tu_check(text != NULL, "%s: result %d is no error", call->command->full_name, (int)result);
    reply_error(call->reply, text);
}

static bool bad_deadline(const struct call *call)
{
    reply_errorf(call->reply, ERR_EXPIRE_TIME, call->command->full_name);
    return false;
}

bool handler_deadline(const struct call *call, struct slice word, unsigned form, int64_t *at_ms)
{
    int64_t when;
    if (!handler_integer(call, word, &when))
        return false;
    if (when <= 0 && !(form & TIME_ANY_SIGN))
        return bad_deadline(call);
    if (!(form & TIME_MILLISECONDS) && __builtin_mul_overflow(when, INT64_C(1000), &when))
        return bad_deadline(call);
    if (!(form & TIME_ABSOLUTE) && __builtin_add_overflow(when, call->tx->now_ms, &when))
        return bad_deadline(call);
    *at_ms = when;
    return true;
}

static bool check_timeout(const struct call *call, int64_t timeout_ms)
{
    const char *error = timeout_ms < 0                              ? ERR_TIMEOUT_NEGATIVE
                        : timeout_ms > INT64_MAX - call->tx->now_ms ? ERR_TIMEOUT_RANGE
                                                                    : NULL;
    if (error)
        reply_error(call->reply, error);
    return error == NULL;
}

bool handler_timeout_ms(const struct call *call, struct slice word, int64_t *timeout_ms)
{
    if (number_parse_int64(word, timeout_ms))
        return check_timeout(call, *timeout_ms);
    reply_error(call->reply, ERR_TIMEOUT);
    return false;
}

bool handler_timeout(const struct call *call, struct slice seconds, int64_t *timeout_ms)
{
    long double value;
    const char *error = NULL;
    if (!number_parse_long_double(seconds, &value))
        error = ERR_TIMEOUT_FLOAT;
    else if (value * 1000 > (long double)INT64_MAX)
        error = ERR_TIMEOUT_RANGE;
    if (error) {
        reply_error(call->reply, error);
        return false;
    }
    *timeout_ms = value * 1000 <= (long double)INT64_MIN ? INT64_MIN : (int64_t)ceill(value * 1000);
    return check_timeout(call, *timeout_ms);
}

bool handler_deadline_option(const struct call *call, unsigned ex, struct slice *word,
                             unsigned *form)
{
    static const unsigned forms[] = {TIME_SECONDS, TIME_MILLISECONDS, TIME_SECONDS | TIME_ABSOLUTE,
                                     TIME_MILLISECONDS | TIME_ABSOLUTE};
    for (unsigned i = 0; i < ARG_COUNT(forms); i++)
        if (args_has(call->args, ex + i)) {
            *word = call->argv[args_at(call->args, ex + i)];
            *form = forms[i];
            return true;
        }
    return false;
}

static bool is_above_zero(struct slice word)
{
    int64_t count;
    return number_parse_int64(word, &count) && count > 0;
}

const char *handler_check_numkeys(struct slice word, struct args *out)
{
    return is_above_zero(word) ? NULL : ERR_NUMKEYS_ZERO;
}

const char *handler_check_pop_count(struct slice word, struct args *out)
{
    return is_above_zero(word) ? NULL : ERR_COUNT_ZERO;
}

bool handler_parses_itself(const struct command *command, const struct slice *argv, size_t argc,
                           struct args *out, const char **error)
{
    out->present = 0;
    return true;
}

void handler_help(const struct call *call, const char *const *lines, size_t count)
{
    const struct command *container = call->command->parent;
    char heading[128];
    snprintf(heading, sizeof(heading),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container->name);
    reply_array(call->reply, count + 3);
    reply_simple(call->reply, heading);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    This text.");
}

bool handler_cursor(struct slice word, uint64_t *cursor)
{
    int64_t number;
    if (number_parse_int64(word, &number)) {
        *cursor = (uint64_t)number;
        return number >= 0;
    }
    const char *nul = word.size > 0 ? memchr(word.data, 0, word.size) : NULL;
    size_t at = 0, size = nul ? (size_t)(nul - word.data) : word.size;
    while (at < size && (word.data[at] == ' ' || (word.data[at] >= '\t' && word.data[at] <= '\r')))
        at++;
    bool minus = at < size && word.data[at] == '-';
    at += at < size && (minus || word.data[at] == '+');
    uint64_t value = 0;
    size_t digits = at;
    for (; at < size && word.data[at] >= '0' && word.data[at] <= '9'; at++)
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(word.data[at] - '0'), &value))
            return false;
    *cursor = minus ? 0 - value : value;
    return at == size && at > digits;
}

const char *handler_check_scan_count(struct slice word, struct args *out)
{
    int64_t count;
    if (!number_parse_int64(word, &count))
        return ERR_NOT_INTEGER;
    return count < 1 ? ERR_SYNTAX : NULL;
}

struct handler_scan handler_scan_options(const struct call *call, unsigned match, unsigned count)
{
    struct handler_scan options = {.any = true};
    int64_t number = 10;
    if (args_has(call->args, count))
        (void)number_parse_int64(call->argv[args_at(call->args, count)], &number); /* checked */
    if (args_has(call->args, match)) {
        options.pattern = call->argv[args_at(call->args, match)];
        options.any = glob_is_any(options.pattern);
    }
    options.count = (uint64_t)number;
    return options;
}

const char *handler_scan_error(const struct call *call, const char *error)
{
    size_t at = 3;
    int64_t count = 1;
    for (; at + 1 < call->argc; at += 2) {
        if (slice_equal_nocase(call->argv[at], SLICE("count"))) {
            if (!number_parse_int64(call->argv[at + 1], &count) || count < 1)
                return error;
        } else if (!slice_equal_nocase(call->argv[at], SLICE("match"))) {
            break;
        }
    }
    bool values = at < call->argc && slice_equal_nocase(call->argv[at], SLICE("novalues"));
    return values ? ERR_NOVALUES : error;
}
