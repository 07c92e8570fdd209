/* command_draw.h - random calls drawn from the rows' own grammars, for tests and fuzzers.
 *
 *     struct draw d = {.dice = {.rng = ...}};
 *     draw_call(&d, command);
 *     ... d.words, d.count ...
 *
 * Keys and values are few, so that calls meet each other's data. The dice are a generator, or the bytes of a fuzzer, which
 * then learns what makes a difference.
 */
#pragma once

#include "base/check.h"
#include "base/random.h"
#include "server/arguments.h"

#include <string.h>

enum { DRAW_WORDS_MAX = 40, DRAW_LETTERS = 32 };

struct dice {
    struct random_state rng;
    const unsigned char *bytes; /* NULL: the generator */
    size_t left;
};

struct draw {
    struct dice dice;
    struct slice words[DRAW_WORDS_MAX];
    size_t count;
    bool waits;                                 /* XREAD may have BLOCK */
    char letters[DRAW_WORDS_MAX][DRAW_LETTERS]; /* tokens in mixed case, numbers */
};

/* Below `bound`, which is at most 65536; 0 when a fuzzer's bytes are used up. */
static inline unsigned dice_below(struct dice *d, unsigned bound)
{
    if (!d->bytes)
        return (unsigned)random_below(&d->rng, bound);
    unsigned value = 0;
    for (unsigned room = 1; room < bound && d->left > 0; room <<= 8, d->left--)
        value = value << 8 | *d->bytes++;
    return value % bound;
}

static inline bool dice_chance(struct dice *d, unsigned percent)
{
    return dice_below(d, 100) < percent;
}

/* Commands on keys and values; with `waits` those that may wait, too. */
static inline bool draw_may_run(const struct command *c, bool waits)
{
    static const char *const groups[] = {"string",     "generic", "list",        "set", "hash",
                                         "sorted-set", "stream",  "hyperloglog", "geo", "bitmap"};
    const char *top = c->parent ? c->parent->full_name : c->full_name;
    if (!c->run || ((c->flags & CMD_BLOCKING) && top[0] == 'b' && !waits) ||
        strncmp(top, "wait", 4) == 0)
        return false;
    for (size_t i = 0; i < ARG_COUNT(groups); i++)
        if (strcmp(c->group, groups[i]) == 0)
            return true;
    return false;
}

static inline void draw_word(struct draw *d, struct slice word)
{
    if (d->count < DRAW_WORDS_MAX)
        d->words[d->count++] = word;
}

static inline void draw_token(struct draw *d, const char *token)
{
    if (d->count == DRAW_WORDS_MAX)
        return;
    char *copy = d->letters[d->count];
    size_t size = strlen(token);
    bool mixed = dice_chance(&d->dice, 20);
    tu_check(size < DRAW_LETTERS, "a token of %zu letters", size);
    for (size_t i = 0; i < size; i++)
        copy[i] = mixed && i % 2 == 0 && token[i] >= 'A' && token[i] <= 'Z' ? (char)(token[i] | 32)
                                                                            : token[i];
    draw_word(d, (struct slice){copy, size});
}

static inline void draw_from(struct draw *d, const char *const *from, size_t count)
{
    draw_word(d, slice_of(from[dice_below(&d->dice, (unsigned)count)]));
}

/* A key: two of the command's own group, or any. */
static inline void draw_key(struct draw *d, const char *group)
{
    static const char *const keys[] = {"a", "b", "c", "k:1", "k:2", "missing", ""};
    char *text = d->letters[d->count < DRAW_WORDS_MAX ? d->count : 0];
    if (d->count == DRAW_WORDS_MAX)
        return;
    if (dice_chance(&d->dice, 15)) {
        draw_from(d, keys, ARG_COUNT(keys));
        return;
    }
    text[0] = group[0];
    text[1] = group[1];
    text[2] = (char)('0' + dice_below(&d->dice, 3));
    draw_word(d, (struct slice){text, 3});
}

static inline void draw_string(struct draw *d)
{
    static const char *const strings[] = {
        "",
        "x",
        "abc",
        "f",
        "g",
        "10",
        "-3",
        "007",
        "9223372036854775807",
        "1.5",
        "inf",
        "string",
        "-",
        "+",
        "(b",
        "[b",
        "$",
        ">",
        "0",
        "1-1",
        "2-*",
        "3",
        "(1-1",
        "u8",
        "i5",
        "#1",
        "#",
        "k:*",
        "*->f",
        "m",
        "km",
        "e",
        "ab",
        "b",
        "c",
        "a longer value, not inline with its key any more: about a hundred bytes of text here",
        "another long one, of more than sixty-four bytes, so that no packed form will take it"};
    draw_from(d, strings, ARG_COUNT(strings));
}

static inline void draw_number(struct draw *d)
{
    static const char *const numbers[] = {"100",
                                          "1000000",
                                          "abc",
                                          "",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "9223372036854775808",
                                          "4294967296",
                                          "1.5",
                                          "-0.25",
                                          "99999999999",
                                          "inf",
                                          "-inf",
                                          "1e3",
                                          "70"};
    if (d->count == DRAW_WORDS_MAX)
        return;
    if (dice_chance(&d->dice, 25)) {
        draw_from(d, numbers, ARG_COUNT(numbers));
        return;
    }
    char *text = d->letters[d->count];
    unsigned n = dice_below(&d->dice, 12);
    bool negative = n >= 10;
    text[0] = '-';
    text[negative] = (char)('0' + (negative ? n - 9 : n));
    draw_word(d, (struct slice){text, negative ? 2 : 1});
}

static inline void draw_value(struct draw *d, const char *group, enum arg_type type)
{
    static const char *const patterns[] = {"*", "k*", "k:[1-2]", "?", "[^a]", "[", "\\", "a"};
    switch (type) {
    case ARG_TYPE_KEY: draw_key(d, group); break;
    case ARG_TYPE_PATTERN: draw_from(d, patterns, ARG_COUNT(patterns)); break;
    case ARG_TYPE_INTEGER:
    case ARG_TYPE_UNIX_TIME:
    case ARG_TYPE_DOUBLE: draw_number(d); break;
    default: draw_string(d); break;
    }
}

static inline void draw_args(struct draw *d, const char *group, const struct arg *args,
                             size_t count);

static inline void draw_arg(struct draw *d, const char *group, const struct arg *arg)
{
    unsigned times =
        arg->multiple ? 1 + dice_below(&d->dice, dice_chance(&d->dice, 10) ? 12 : 3) : 1;
    if (arg->token && strcmp(arg->token, "BLOCK") == 0 && !d->waits)
        return;
    for (unsigned i = 0; i < times; i++) {
        if (arg->token && (i == 0 || arg->multiple_token))
            draw_token(d, arg->token);
        if (arg->type == ARG_TYPE_ONEOF)
            draw_arg(d, group, &arg->children[dice_below(&d->dice, arg->child_count)]);
        else if (arg->type == ARG_TYPE_BLOCK)
            draw_args(d, group, arg->children, arg->child_count);
        else if (arg->type != ARG_TYPE_PURE_TOKEN)
            draw_value(d, group, (enum arg_type)arg->type);
    }
}

static inline void draw_args(struct draw *d, const char *group, const struct arg *args,
                             size_t count)
{
    for (size_t i = 0; i < count; i++)
        while (args[i].optional ? dice_chance(&d->dice, 35) : true) {
            draw_arg(d, group, &args[i]);
            if (!args[i].optional || dice_chance(&d->dice, 80))
                break;
        }
}

/* A number that says how many words follow is mostly right: the first number of a grammar with such a count. */
static inline void draw_call(struct draw *d, const struct command *command)
{
    d->count = 0;
    if (command->parent)
        draw_token(d, command->parent->name);
    draw_token(d, command->name);
    size_t fixed = d->count;
    draw_args(d, command->group, command->args, command->arg_count);
    unsigned whim = dice_below(&d->dice, 100);
    if (d->count > fixed && whim < 8) { /* two words change places */
        size_t i = fixed + dice_below(&d->dice, (unsigned)(d->count - fixed));
        size_t j = fixed + dice_below(&d->dice, (unsigned)(d->count - fixed));
        struct slice word = d->words[i];
        d->words[i] = d->words[j];
        d->words[j] = word;
    } else if (d->count > fixed && whim < 12) {
        d->count--;
    } else if (whim < 16) {
        draw_string(d);
    }
}
