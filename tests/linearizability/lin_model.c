/* lin_model.c - operations on states; commands drawn, read and matched with replies. */
#include "linearizability/lin_model.h"

#include "base/check.h"
#include "linearizability/lin_run.h"

#include <stdio.h>
#include <stdlib.h>

struct lin_scratch {
    struct lin_run run;
    struct lin_reply reply;
};

/* All rows, by number; NULL after the last. */
static const struct lin_row *row_at(unsigned number)
{
    static const struct lin_family *const families[] = {&lin_strings_family, &lin_lists_family,
                                                        &lin_sets_family,    &lin_hashes_family,
                                                        &lin_zsets_family,   &lin_streams_family};
    for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
        if (number < families[i]->count)
            return &families[i]->rows[number];
        number -= families[i]->count;
    }
    return NULL;
}

struct lin_scratch *lin_scratch_new(void)
{
    struct lin_scratch *scratch = calloc(1, sizeof *scratch);
    tu_check(scratch != NULL, "no memory for a model");
    return scratch;
}

void lin_scratch_free(struct lin_scratch *scratch)
{
    free(scratch);
}

/* ---- steps ---- */

void lin_apply(struct lin_scratch *scratch, struct lin_pool *pool, struct lin_state *state,
               const struct lin_command *command, const struct slice *observed,
               struct lin_reply *reply)
{
    struct lin_run *run = &scratch->run;
    run->pool = pool;
    run->state = state;
    run->command = command;
    run->observed = observed;
    run->reply = reply;
    run->changed = 0;
    run->rooms = run->texts = 0;
    reply->size = 0;
    command->row->apply(run);
    for (unsigned c = 0; c < LIN_CLIENTS; c++)
        if ((state->watched[c] & run->changed) != 0)
            state->dirty |= UINT64_C(1) << c;
}

static bool run_commands(struct lin_scratch *scratch, struct lin_pool *pool,
                         const struct lin_op *op, struct lin_state *state)
{
    for (unsigned i = 0; i < op->count; i++) {
        lin_apply(scratch, pool, state, &op->command[i], &op->reply[i], &scratch->reply);
        if (!slice_equal(op->reply[i], (struct slice){scratch->reply.bytes, scratch->reply.size}))
            return false;
    }
    return true;
}

bool lin_step(struct lin_scratch *scratch, struct lin_pool *pool, const struct lin_state *before,
              const struct lin_op *op, struct lin_state *after)
{
    uint64_t client = UINT64_C(1) << op->client;
    *after = *before;
    if (op->kind == LIN_WATCH) {
        after->watched[op->client] |= op->keys;
        return true;
    }
    if (op->kind == LIN_COMMAND)
        return run_commands(scratch, pool, op, after);
    bool refused = (before->dirty & client) != 0;
    after->watched[op->client] = 0;
    after->dirty &= ~client;
    if (op->kind == LIN_UNWATCH)
        return true;
    return op->refused == refused && (refused || run_commands(scratch, pool, op, after));
}

/* ---- commands ---- */

/* The next word of a form. */
static struct slice form_word(const char **at)
{
    const char *begin = *at, *end = begin;
    while (*end != '\0' && *end != ' ')
        end++;
    *at = *end == ' ' ? end + 1 : end;
    return (struct slice){begin, (size_t)(end - begin)};
}

static enum lin_type type_of_letter(char letter)
{
    static const char letters[] = "slehzx";
    const char *at = strchr(letters, letter);
    return at != NULL ? (enum lin_type)(LIN_STRING + (at - letters)) : LIN_NONE;
}

enum lin_type lin_choice_type(const struct lin_choice *choice, unsigned key)
{
    unsigned at = key % (unsigned)__builtin_popcount(choice->types);
    unsigned types = choice->types;
    while (at-- > 0)
        types &= types - 1;
    return (enum lin_type)__builtin_ctz(types);
}

/* A form fits a choice if the keys' types are there. */
static bool fits(const struct lin_row *row, const struct lin_choice *choice)
{
    unsigned keys = 0;
    for (const char *at = row->form; *at != '\0';) {
        struct slice word = form_word(&at);
        if (word.data[0] != '$')
            continue;
        keys++;
        if (word.data[1] != 'a' && (choice->types >> type_of_letter(word.data[1]) & 1) == 0)
            return false;
    }
    if (keys == 0)
        return choice->whole;
    return keys == 1 || !choice->single;
}

static int draw_key(const struct lin_choice *choice, struct random_state *rng, char letter)
{
    for (;;) {
        unsigned key = (unsigned)random_below(rng, choice->keys);
        if (letter == 'a' || lin_choice_type(choice, key) == type_of_letter(letter))
            return (int)key;
    }
}

static size_t draw_word(char letter, struct random_state *rng, char *text)
{
    switch (letter) {
    case 'm': return (size_t)snprintf(text, 8, "%d", 1 + (int)random_below(rng, 6));
    case 'f': return (size_t)snprintf(text, 8, "f%d", (int)random_below(rng, 4));
    case 'n': return (size_t)snprintf(text, 8, "%d", (int)random_below(rng, 12) - 3);
    case 'i': return (size_t)snprintf(text, 8, "1-%d", 1 + (int)random_below(rng, 9));
    default: return (size_t)snprintf(text, 8, "%d", 1 + (int)random_below(rng, 99));
    }
}

static void set_key(struct lin_command *command, unsigned word, int key)
{
    command->key_at[word] = (int8_t)key;
    command->keys |= (uint8_t)(1u << key);
}

size_t lin_command_draw(struct lin_command *command, const struct lin_choice *choice,
                        struct random_state *rng, char *text)
{
    unsigned total = 0;
    size_t used = 0;
    const struct lin_row *row;
    for (unsigned i = 0; (row = row_at(i)) != NULL; i++)
        total += fits(row, choice) ? row->weight : 0;
    unsigned left = (unsigned)random_below(rng, total), at_row = 0;
    for (row = row_at(0); !fits(row, choice) || left >= row->weight; row = row_at(++at_row))
        left -= fits(row, choice) ? row->weight : 0;
    *command = (struct lin_command){.row = row};
    bool keyless = strchr(row->form, '$') == NULL;
    for (const char *at = row->form; *at != '\0';) {
        struct slice word = form_word(&at);
        unsigned n = command->count++;
        command->key_at[n] = -1;
        command->word[n] = word;
        if (word.data[0] == '$') {
            int key = draw_key(choice, rng, word.data[1]);
            set_key(command, n, key);
            command->word[n] = slice_of(choice->key[key]);
        } else if (word.data[0] == '%') {
            size_t size = draw_word(word.data[1], rng, text + used);
            command->word[n] = (struct slice){text + used, size};
            used += size;
        }
    }
    if (keyless)
        command->keys = (uint8_t)((1u << choice->keys) - 1);
    return used;
}

static bool parse_as(const struct lin_row *row, struct lin_command *command,
                     const struct slice *words, unsigned count, int (*key_of)(struct slice name))
{
    *command = (struct lin_command){.row = row};
    const char *at = row->form;
    for (unsigned i = 0; i < count; i++) {
        struct slice word = form_word(&at);
        if (word.size == 0)
            return false;
        command->key_at[i] = -1;
        command->word[i] = words[i];
        if (word.data[0] == '$')
            set_key(command, i, key_of(words[i]));
        else if (word.data[0] != '%' && !slice_equal(word, words[i]))
            return false;
    }
    command->count = count;
    return *at == '\0';
}

bool lin_command_parse(struct lin_command *command, const struct slice *words, unsigned count,
                       int (*key_of)(struct slice name))
{
    const struct lin_row *row;
    for (unsigned i = 0; count <= LIN_WORDS && (row = row_at(i)) != NULL; i++)
        if (parse_as(row, command, words, count, key_of))
            return true;
    return false;
}

/* ---- replies ---- */

static const char *line_end(const char *at, const char *end)
{
    const char *found = memchr(at, '\n', (size_t)(end - at));
    return found != NULL ? found + 1 : NULL;
}

size_t lin_reply_size(const char *bytes, size_t size)
{
    const char *end = bytes + size, *at = size > 0 ? line_end(bytes, end) : NULL;
    if (at == NULL)
        return 0;
    long number = bytes[0] == '$' || bytes[0] == '*' ? strtol(bytes + 1, NULL, 10) : -1;
    if (bytes[0] == '$' && number >= 0)
        at = end - at >= number + 2 ? at + number + 2 : NULL;
    for (long i = 0; bytes[0] == '*' && i < number && at != NULL; i++) {
        size_t element = lin_reply_size(at, (size_t)(end - at));
        at = element != 0 ? at + element : NULL;
    }
    return at != NULL ? (size_t)(at - bytes) : 0;
}

void lin_reply_canonical(const struct lin_command *command, char *reply, size_t size)
{
    static _Thread_local struct lin_items items;
    unsigned each = command->row->order == LIN_PAIRS_ANY_ORDER ? 2 : 1;
    if (command->row->order == LIN_ORDERED || size == 0 || reply[0] != '*')
        return;
    items.count = 0;
    const char *at = line_end(reply, reply + size);
    char *out = reply + (at - reply), *copy = malloc(size);
    tu_check(copy != NULL, "no memory for a reply");
    memcpy(copy, reply, size);
    for (at = copy + (at - reply); at < copy + size;) {
        size_t element = lin_reply_size(at, (size_t)(copy + size - at));
        const char *text =
            line_end(at, copy + size); /* sorted as what they say, not as what they weigh */
        lin_items_insert(&items, items.count, (struct slice){text, element - (size_t)(text - at)});
        at += element;
    }
    lin_items_sort(&items, each);
    for (unsigned i = 0; i < items.count; i++) {
        const char *begin = items.at[i].data - 1;
        while (begin[-1] != '\n')
            begin--;
        size_t element = (size_t)(items.at[i].data - begin) + items.at[i].size;
        memcpy(out, begin, element);
        out += element;
    }
    free(copy);
}
