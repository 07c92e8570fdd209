/* command_keys.c - where the keys of a call are, by the row's key specifications.
 *
 * This runs for every command before it takes its locks, so the most frequent shapes (one key at a
 * fixed word, keys to the end) go through one short loop. Numbers that the client sends (numkeys) are
 * bounded by the words there are before anything is computed from them.
 */
#include "server/arguments.h"
#include "server/command.h"

#include <string.h>

/* The word where a specification's keys begin; 0: it has none in this call. */
static size_t begin_position(const struct key_spec *spec, const struct slice *argv, size_t argc)
{
    if (spec->begin == KEY_BEGIN_INDEX)
        return (size_t)spec->begin_index < argc ? (size_t)spec->begin_index : 0;
    if (spec->begin != KEY_BEGIN_KEYWORD)
        return 0;
    struct slice keyword = slice_of(spec->begin_keyword);
    if (spec->begin_index >= 0) {
        /* the keyword must have a word after it */
        for (size_t i = (size_t)spec->begin_index; i + 1 < argc; i++)
            if (slice_equal_nocase(argv[i], keyword))
                return i + 1;
        return 0;
    }
    size_t back = (size_t)-spec->begin_index;
    for (size_t i = argc > back ? argc - back : 0; i > 0; i--)
        if (slice_equal_nocase(argv[i], keyword))
            return i + 1 < argc ? i + 1 : 0;
    return 0;
}

/* A count of keys: digits only; more than there are words is no count. */
static bool parse_count(struct slice text, size_t limit, size_t *out)
{
    size_t value = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (size_t)(text.data[i] - '0');
        if (value > limit)
            return false;
    }
    *out = value;
    return true;
}

/* First and last key word and step of one specification. 1: found, 0: none, -1: does not fit. `may_be_none`: so may a
 * count of 0. */
static int find_range(const struct key_spec *spec, const struct slice *argv, size_t argc,
                      bool may_be_none, size_t *first, size_t *last, size_t *step)
{
    size_t begin = begin_position(spec, argv, argc);
    if (begin == 0)
        return 0;
    if (spec->find == KEY_FIND_RANGE) {
        *first = begin;
        *step = (size_t)spec->step;
        /* a negative last counts from the end; with a limit, from the end of the first 1/limit of the
         * words that are left */
        long end = spec->last >= 0 ? (long)begin + spec->last
                   : spec->limit > 1
                       ? (long)(begin + (argc - begin) / (size_t)spec->limit) + spec->last
                       : (long)argc + spec->last;
        if (end < 0)
            return -1;
        *last = (size_t)end;
    } else if (spec->find == KEY_FIND_KEYNUM) {
        size_t at = begin + (size_t)spec->keynum_index, count;
        if (at >= argc || !parse_count(argv[at], argc, &count))
            return -1;
        *first = begin + (size_t)spec->first_key;
        *step = (size_t)spec->keynum_step;
        if (count == 0)
            return may_be_none ? 0 : -1;
        *last = *first + (count - 1) * *step;
    } else {
        return 0;
    }
    return *first < argc && *last < argc && *last >= *first ? 1 : -1;
}

/* A key that stands behind a word of the grammar (SORT's STORE), where the specification cannot say it: the last, or 0. */
static size_t find_by_token(const struct command *command, size_t spec, const struct slice *argv,
                            size_t argc)
{
    size_t found = 0;
    for (size_t at = 2; at + 1 < argc; at++) {
        for (size_t i = 0; i < command->arg_count; i++) {
            const struct arg *a = &command->args[i];
            if (a->token == NULL || !slice_equal_nocase(argv[at], slice_of(a->token)))
                continue;
            if (a->type == ARG_TYPE_KEY && a->key_spec == spec + 1)
                found = at + 1;
            at += a->type == ARG_TYPE_BLOCK        ? a->child_count
                  : a->type == ARG_TYPE_PURE_TOKEN ? 0u
                                                   : 1u;
            break;
        }
    }
    return found;
}

/* GEORADIUS and its kin: STORE and STOREDIST are specifications of their own, but only the last of these words counts. */
static bool is_alternative(const struct command *command, size_t spec)
{
    return command->key_spec_count == 3 && spec > 0 &&
           command->keys[1].begin == KEY_BEGIN_KEYWORD &&
           command->keys[2].begin == KEY_BEGIN_KEYWORD;
}

/* The key behind the last such word if that is the one of `spec`, or 0. */
static size_t find_alternative(const struct command *command, size_t spec, const struct slice *argv,
                               size_t argc)
{
    enum { OPTIONS = 5 }; /* where they may begin */
    size_t found = 0;
    for (size_t at = OPTIONS; at + 1 < argc; at++) {
        for (size_t i = 1; i < command->key_spec_count; i++) {
            if (!slice_equal_nocase(argv[at], slice_of(command->keys[i].begin_keyword)))
                continue;
            at++; /* what stands behind it is no such word */
            found = i == spec ? at : 0;
            break;
        }
    }
    return found;
}

int command_keys_with_flags(const struct command *command, const struct slice *argv, size_t argc,
                            uint32_t *positions, uint32_t *flags, size_t capacity)
{
    size_t count = 0;
    bool may_be_none = (command->flags & CMD_NO_MANDATORY_KEYS) != 0;
    for (size_t i = 0; i < command->key_spec_count; i++) {
        const struct key_spec *spec = &command->keys[i];
        size_t first = 0, last = 0, step = 1;
        if (spec->flags & KEY_NOT_KEY)
            continue;
        int found = find_range(spec, argv, argc, may_be_none, &first, &last, &step);
        if (spec->find == KEY_FIND_UNKNOWN || is_alternative(command, i)) {
            first = last = spec->find == KEY_FIND_UNKNOWN
                               ? find_by_token(command, i, argv, argc)
                               : find_alternative(command, i, argv, argc);
            found = first != 0;
        }
        if (found < 0)
            return -1;
        if (found == 0)
            continue;
        if (spec->begin == KEY_BEGIN_KEYWORD && (spec->flags & KEY_INCOMPLETE)) {
            /* MIGRATE: KEYS takes the place of the one key, which must be empty then */
            if (argv[command->keys[0].begin_index].size != 0)
                return -1;
            count = 0;
        }
        for (size_t at = first; at <= last; at += step, count++) {
            if (count >= capacity)
                continue;
            positions[count] = (uint32_t)at;
            if (flags != NULL)
                flags[count] = spec->flags;
        }
    }
    return (int)count;
}

int command_keys(const struct command *command, const struct slice *argv, size_t argc,
                 uint32_t *positions, size_t capacity)
{
    return command_keys_with_flags(command, argv, argc, positions, NULL, capacity);
}
