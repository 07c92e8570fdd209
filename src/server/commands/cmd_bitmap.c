/* cmd_bitmap.c - strings as rows of bits.
 *
 * Valkey looks at all numbers and words of these commands before it looks at the key, with error texts
 * of its own for most of them, so the handlers parse for themselves.
 */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/bitmap.h"

#include <tuco/mem.h>

static bool complain(const struct call *call, const char *text)
{
    reply_error(call->reply, text);
    return false;
}

/* A position in bits, from 0 to what the largest string has; `width` > 0: "#n" stands for n times the width. */
static bool bit_offset(const struct call *call, struct slice word, unsigned width, uint64_t *at)
{
    int64_t value;
    bool times = width > 0 && word.size > 0 && word.data[0] == '#';
    if (times)
        word = (struct slice){word.data + 1, word.size - 1};
    if (!number_parse_int64(word, &value) ||
        (times && __builtin_mul_overflow(value, (int64_t)width, &value)) || value < 0 ||
        value / 8 >= handler_config(call)->proto_max_bulk_len)
        return complain(call, ERR_BIT_OFFSET);
    *at = (uint64_t)value;
    return true;
}

/* ---- one bit ---- */

static void run_setbit(struct call *call)
{
    uint64_t at;
    int64_t bit;
    bool before;
    if (!bit_offset(call, call->argv[2], 0, &at))
        return;
    if (!number_parse_int64(call->argv[3], &bit) || (bit & ~INT64_C(1)) != 0) {
        reply_error(call->reply, ERR_BIT_VALUE);
        return;
    }
    enum store_result result = bitmap_set(call->tx, handler_first_key(call), at, bit == 1, &before);
    if (result == STORE_OK)
        reply_integer(call->reply, before);
    else
        handler_error(call, result);
}

static void run_getbit(struct call *call)
{
    uint64_t at;
    bool bit;
    if (!bit_offset(call, call->argv[2], 0, &at))
        return;
    enum store_result result = bitmap_get(call->tx, handler_first_key(call), at, &bit);
    if (result == STORE_OK)
        reply_integer(call->reply, bit);
    else
        handler_error(call, result);
}

/* ---- ranges ---- */

/* [start [end [BYTE | BIT]]] from argv[first] on. The unit is looked at before the end. */
static bool parse_range(const struct call *call, size_t first, struct bitmap_range *range)
{
    size_t words = call->argc - first;
    const struct slice *word = &call->argv[first];
    *range = (struct bitmap_range){.start = 0, .end = -1, .open = words < 2};
    if (words > 3)
        return complain(call, ERR_SYNTAX);
    if (words > 0 && !handler_integer(call, word[0], &range->start))
        return false;
    range->in_bits = words > 2 && slice_equal_nocase(word[2], SLICE("bit"));
    if (words > 2 && !range->in_bits && !slice_equal_nocase(word[2], SLICE("byte")))
        return complain(call, ERR_SYNTAX);
    return words < 2 || handler_integer(call, word[1], &range->end);
}

static void reply_count(const struct call *call, enum store_result result, int64_t count)
{
    if (result == STORE_OK)
        reply_integer(call->reply, count);
    else
        handler_error(call, result);
}

static void run_bitcount(struct call *call)
{
    struct bitmap_range range;
    int64_t count;
    if (!parse_range(call, 2, &range))
        return;
    enum store_result result = bitmap_count(call->tx, handler_first_key(call), &range, &count);
    reply_count(call, result, count);
}

static void run_bitpos(struct call *call)
{
    struct bitmap_range range;
    int64_t bit, at;
    if (!handler_integer(call, call->argv[2], &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, ERR_BIT_ARGUMENT);
        return;
    }
    if (!parse_range(call, 3, &range))
        return;
    enum store_result result =
        bitmap_find(call->tx, handler_first_key(call), bit == 1, &range, &at);
    reply_count(call, result, at);
}

/* ---- BITOP ---- */

static bool parse_operator(const struct call *call, enum bitmap_operator *op)
{
    static const char *const names[] = {
        [BITMAP_AND] = "and", [BITMAP_OR] = "or", [BITMAP_XOR] = "xor", [BITMAP_NOT] = "not"};
    for (size_t i = 0; i < ARG_COUNT(names); i++)
        if (slice_equal_nocase(call->argv[1], slice_of(names[i]))) {
            *op = (enum bitmap_operator)i;
            return *op != BITMAP_NOT || call->argc == 4 || complain(call, ERR_BITOP_NOT);
        }
    return complain(call, ERR_SYNTAX);
}

static void run_bitop(struct call *call)
{
    enum { FEW = 16 };
    struct store_key few[FEW], *sources = few;
    enum bitmap_operator op;
    size_t count = call->argc - 3, size = 0;
    if (!parse_operator(call, &op))
        return;
    if (count > FEW && (sources = tu_alloc(count * sizeof *sources)) == NULL) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++)
        sources[i] = handler_key(call, i + 1, i + 3);
    enum store_result result =
        bitmap_combine(call->tx, op, handler_key(call, 0, 2), sources, count, &size);
    reply_count(call, result, (int64_t)size);
    if (sources != few)
        tu_free(sources);
}

/* ---- BITFIELD ---- */

/* i1..i64, u1..u63 */
static bool parse_type(const struct call *call, struct slice word, struct bitmap_field *field)
{
    int64_t width = 0;
    field->is_signed = word.size > 0 && word.data[0] == 'i';
    bool ok = word.size > 1 && (field->is_signed || word.data[0] == 'u') &&
              number_parse_int64((struct slice){word.data + 1, word.size - 1}, &width) &&
              width >= 1 && width <= (field->is_signed ? 64 : 63);
    field->width = (uint8_t)width;
    return ok || complain(call, ERR_BITFIELD_TYPE);
}

static bool parse_overflow(const struct call *call, struct slice word, enum bitmap_overflow *out)
{
    if (slice_equal_nocase(word, SLICE("wrap")))
        *out = OVERFLOW_WRAP;
    else if (slice_equal_nocase(word, SLICE("sat")))
        *out = OVERFLOW_SATURATE;
    else if (slice_equal_nocase(word, SLICE("fail")))
        *out = OVERFLOW_FAIL;
    else
        return complain(call, ERR_BITFIELD_OVERFLOW);
    return true;
}

/* Fills `fields`, which has room for a field every three words. */
static bool parse_fields(const struct call *call, struct bitmap_field *fields, size_t *count)
{
    enum bitmap_overflow overflow = OVERFLOW_WRAP;
    bool writes = false;
    *count = 0;
    for (size_t at = 2; at < call->argc;) {
        const struct slice *words = &call->argv[at];
        size_t rest = call->argc - at - 1;
        if (slice_equal_nocase(words[0], SLICE("overflow")) && rest >= 1) {
            if (!parse_overflow(call, words[1], &overflow))
                return false;
            at += 2;
            continue;
        }
        struct bitmap_field *field = &fields[*count];
        *field = (struct bitmap_field){.overflow = overflow};
        if (slice_equal_nocase(words[0], SLICE("get")) && rest >= 2)
            field->action = FIELD_GET;
        else if (slice_equal_nocase(words[0], SLICE("set")) && rest >= 3)
            field->action = FIELD_SET;
        else if (slice_equal_nocase(words[0], SLICE("incrby")) && rest >= 3)
            field->action = FIELD_ADD;
        else
            return complain(call, ERR_SYNTAX);
        if (!parse_type(call, words[1], field) ||
            !bit_offset(call, words[2], field->width, &field->at))
            return false;
        if (field->action != FIELD_GET && !handler_integer(call, words[3], &field->operand))
            return false;
        writes = writes || field->action != FIELD_GET;
        at += field->action == FIELD_GET ? 3 : 4;
        ++*count;
    }
    return !writes || !(call->command->flags & CMD_READONLY) || complain(call, ERR_BITFIELD_RO);
}

static void run_bitfield(struct call *call)
{
    enum { FEW = 16 };
    struct bitmap_field few[FEW], *fields = few;
    size_t most = call->argc / 3, count;
    if (most > FEW && (fields = tu_alloc(most * sizeof *fields)) == NULL) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    if (parse_fields(call, fields, &count)) {
        enum store_result result = bitmap_fields(call->tx, handler_first_key(call), fields, count);
        if (result == STORE_OK)
            reply_array(call->reply, count);
        else
            handler_error(call, result);
        for (size_t i = 0; result == STORE_OK && i < count; i++)
            if (fields[i].failed)
                reply_null(call->reply);
            else
                reply_integer(call->reply, fields[i].result);
    }
    if (fields != few)
        tu_free(fields);
}

/* ---- rows ---- */

#define RANGE_ARG                                                             \
    ARG_BLOCK("range", (ARG_OPTIONAL), ARG_INTEGER("start"),                  \
              ARG_BLOCK("end-unit-block", (ARG_OPTIONAL), ARG_INTEGER("end"), \
                        ARG_ONEOF("unit", (ARG_OPTIONAL, .since = "7.0.0"),   \
                                  ARG_TOKEN("byte", "BYTE"), ARG_TOKEN("bit", "BIT"))))

static const struct command rows[] = {
    {.name = "BITCOUNT",
     .run = run_bitcount,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "2.6.0",
     .complexity = "O(N)",
     .summary = "Counts the bits that are set in a string or in part of it.",
     .history = ROW_WORDS("7.0.0", "BYTE and BIT.", "8.0.0", "A start without an end."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), RANGE_ARG)},
    {.name = "BITFIELD",
     .run = run_bitfield,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "3.2.0",
     .complexity = "O(1)",
     .summary = "Reads, writes and adds to integers of any width inside a string.",
     ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 1,
               .find = KEY_FIND_RANGE,
               .last = 0,
               .step = 1,
               .notes = "Only read if there is neither SET nor INCRBY."}),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("operation", (ARG_OPTIONAL, ARG_MULTIPLE),
                        ARG_BLOCK("get-block", (.token = "GET"), ARG_STRING("encoding"),
                                  ARG_INTEGER("offset")),
                        ARG_BLOCK("write", (.token = NULL),
                                  ARG_ONEOF("overflow-block", (ARG_OPTIONAL, .token = "OVERFLOW"),
                                            ARG_TOKEN("wrap", "WRAP"), ARG_TOKEN("sat", "SAT"),
                                            ARG_TOKEN("fail", "FAIL")),
                                  ARG_ONEOF("write-operation", (.token = NULL),
                                            ARG_BLOCK("set-block", (.token = "SET"),
                                                      ARG_STRING("encoding"), ARG_INTEGER("offset"),
                                                      ARG_INTEGER("value")),
                                            ARG_BLOCK("incrby-block", (.token = "INCRBY"),
                                                      ARG_STRING("encoding"), ARG_INTEGER("offset"),
                                                      ARG_INTEGER("increment"))))))},
    {.name = "BITFIELD_RO",
     .run = run_bitfield,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Reads integers of any width inside a string.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_BLOCK("get-block", (ARG_OPTIONAL, ARG_MULTIPLE_TOKEN, .token = "GET"),
                        ARG_STRING("encoding"), ARG_INTEGER("offset")))},
    {.name = "BITOP",
     .run = run_bitop,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "2.6.0",
     .complexity = "O(N)",
     .summary = "Combines strings bit by bit and stores the result.",
     ROW_KEYS(KEY_AT(2, KEY_OW | KEY_UPDATE), KEYS_FROM(3, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_ONEOF("operation", (.token = NULL), ARG_TOKEN("and", "AND"),
                        ARG_TOKEN("or", "OR"), ARG_TOKEN("xor", "XOR"), ARG_TOKEN("not", "NOT")),
              ARG_KEY("destkey", 0), ARG_KEY("key", 1, ARG_MULTIPLE))},
    {.name = "BITPOS",
     .run = run_bitpos,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "2.8.7",
     .complexity = "O(N)",
     .summary = "Finds the first bit that is set, or the first that is not.",
     .history = ROW_WORDS("7.0.0", "BYTE and BIT."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("bit"), RANGE_ARG)},
    {.name = "GETBIT",
     .run = run_getbit,
     .arity = 3,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Tells one bit of a string.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("offset"))},
    {.name = "SETBIT",
     .run = run_setbit,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_BITMAP,
     .scope = SCOPE_KEYS,
     .group = "bitmap",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Sets or clears one bit of a string and tells the one before.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("offset"), ARG_INTEGER("value"))},
};
const struct command_family bitmap_family = COMMAND_FAMILY(rows);
