/* arguments.c - matching words against a grammar.
 *
 * The problem: Redis-compatible servers describe their arguments in one place (COMMAND DOCS) and parse
 * them by hand in another, and the two drift apart. Here the description is the parser's program.
 *
 * The approach is a matcher without backtracking. It walks the nodes of a sequence beside the words;
 * what makes this enough for the commands there are is that every choice is visible in the next word
 * (a token) or in the number of words left (an optional or repeating value takes what the rest can
 * spare). Backtracking, or a table generated at start, would accept more grammars than any command
 * has, at a cost that a client could choose. Commands whose real rules cannot be said as a grammar
 * (EXPIRE, whose oneof is not one) name a parser of their own in the row.
 *
 * Work is bounded: each step takes at least one word or moves to the next node, and the depth of
 * recursion is that of the grammar.
 */
#include "server/arguments.h"

#include "base/check.h"
#include "server/reply_errors.h"

#include <string.h>

struct matcher {
    const struct slice *argv;
    size_t argc;
    size_t at; /* the next word */
    struct args *out;
    const char *error;
};

static bool match_sequence(struct matcher *m, const struct arg *nodes, size_t count,
                           size_t reserve);

static bool fail(struct matcher *m, const char *error)
{
    if (m->error == NULL)
        m->error = error;
    return false;
}

static bool same_token(const char *token, struct slice word)
{
    size_t i = 0;
    for (; i < word.size && token[i] != '\0'; i++) {
        unsigned char a = (unsigned char)token[i], b = (unsigned char)word.data[i];
        if (a != b && ((a | 32) != (b | 32) || (a | 32) < 'a' || (a | 32) > 'z'))
            return false;
    }
    return i == word.size && token[i] == '\0';
}

/* Tokens are short and mostly differ in the first letter. */
static inline bool token_is(const char *token, struct slice word)
{
    if (word.size != 0 && ((unsigned char)token[0] ^ (unsigned char)word.data[0]) & 0xdf)
        return false;
    return same_token(token, word);
}

/* True if the node can be recognized by its first word. */
static bool is_keyword(const struct arg *node)
{
    if (node->token != NULL)
        return true;
    if (node->type == ARG_TYPE_BLOCK)
        return is_keyword(&node->children[0]);
    if (node->type != ARG_TYPE_ONEOF)
        return false;
    for (size_t i = 0; i < node->child_count; i++)
        if (!is_keyword(&node->children[i]))
            return false;
    return true;
}

/* True if `word` is one of the words that the node is recognized by. */
static bool begins(const struct arg *node, struct slice word)
{
    if (node->token != NULL)
        return token_is(node->token, word);
    if (node->type == ARG_TYPE_BLOCK)
        return begins(&node->children[0], word);
    if (node->type != ARG_TYPE_ONEOF)
        return false;
    for (size_t i = 0; i < node->child_count; i++)
        if (begins(&node->children[i], word))
            return true;
    return false;
}

static size_t least_words_of(const struct arg *nodes, size_t count);

/* Words that one occurrence takes at least. */
static size_t least_words(const struct arg *node)
{
    size_t own = node->token != NULL ? 1 : 0;
    if (node->type == ARG_TYPE_PURE_TOKEN)
        return own;
    if (node->type == ARG_TYPE_BLOCK)
        return own + least_words_of(node->children, node->child_count);
    if (node->type != ARG_TYPE_ONEOF)
        return own + 1;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < node->child_count; i++) {
        size_t words = least_words(&node->children[i]);
        least = words < least ? words : least;
    }
    return own + least;
}

static size_t least_words_of(const struct arg *nodes, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += nodes[i].optional ? 0 : least_words(&nodes[i]);
    return sum;
}

void args_set(struct args *args, unsigned id, size_t index)
{
    tu_assert(id > 0 && id < ARGS_MAX);
    args->present |= UINT64_C(1) << id;
    args->first[id] = (uint32_t)index;
    args->count[id] = 1;
}

static void note(struct matcher *m, const struct arg *node, size_t index)
{
    if (node->id == 0)
        return;
    if (node->multiple && args_has(m->out, node->id))
        m->out->count[node->id]++;
    else
        args_set(m->out, node->id, index);
}

/* One occurrence of the node, its token included unless the node repeats without it. */
static bool match_one(struct matcher *m, const struct arg *node, bool skip_token, size_t reserve)
{
    if (node->token != NULL && !skip_token) {
        if (m->at >= m->argc || !token_is(node->token, m->argv[m->at]))
            return fail(m, ERR_SYNTAX);
        m->at++;
    }
    switch ((enum arg_type)node->type) {
    case ARG_TYPE_PURE_TOKEN: note(m, node, m->at - 1); return true;
    case ARG_TYPE_BLOCK:
        note(m, node, m->at);
        return match_sequence(m, node->children, node->child_count, reserve);
    case ARG_TYPE_ONEOF: {
        if (m->at >= m->argc)
            return fail(m, ERR_SYNTAX);
        note(m, node, m->at);
        const struct arg *other = NULL;
        for (size_t i = 0; i < node->child_count; i++) {
            const struct arg *child = &node->children[i];
            if (begins(child, m->argv[m->at]))
                return match_one(m, child, false, reserve);
            if (other == NULL && !is_keyword(child))
                other = child;
        }
        return other != NULL ? match_one(m, other, false, reserve) : fail(m, ERR_SYNTAX);
    }
    default: {
        if (m->at >= m->argc)
            return fail(m, ERR_SYNTAX);
        const char *error = node->check != NULL ? node->check(m->argv[m->at], m->out) : NULL;
        if (error != NULL)
            return fail(m, error);
        note(m, node, m->at);
        m->at++;
        return true;
    }
    }
}

/* An option that begins with the next word, where there is one: its number in `nodes`, or count. For
 * a oneof without a token, *child is the alternative. */
static size_t find_option(const struct matcher *m, const struct arg *nodes, size_t count,
                          const struct arg **child)
{
    struct slice word = m->argv[m->at];
    for (size_t i = 0; i < count; i++) {
        *child = NULL;
        if (nodes[i].token != NULL || nodes[i].type != ARG_TYPE_ONEOF) {
            if (begins(&nodes[i], word))
                return i;
            continue;
        }
        for (size_t k = 0; k < nodes[i].child_count; k++) {
            *child = &nodes[i].children[k];
            if (begins(*child, word))
                return i;
        }
    }
    return count;
}

/* TOKEN a b c: the values after the first of a repeating option whose token stands once. It ends at
 * the next option, or where the nodes after the options need the rest. */
static bool match_more_values(struct matcher *m, const struct arg *node, const struct arg *options,
                              size_t count, size_t reserve)
{
    const struct arg *child;
    while (m->at < m->argc && m->argc - m->at >= reserve + least_words(node) - 1 &&
           find_option(m, options, count, &child) == count)
        if (!match_one(m, node, true, reserve))
            return false;
    return true;
}

/* Options in any order: the first `count` of `nodes`. After them come `rest` nodes and `reserve`
 * words. */
static bool match_options(struct matcher *m, const struct arg *nodes, size_t count, size_t rest,
                          size_t reserve)
{
    uint8_t chosen[ARGS_OPTIONS_MAX]; /* 0: not yet; else 1 + number of the alternative */
    tu_check(count <= ARGS_OPTIONS_MAX, "grammar with %zu neighbouring options", count);
    memset(chosen, 0, count);
    while (m->at < m->argc) {
        const struct arg *child;
        size_t i = find_option(m, nodes, count, &child);
        if (i == count)
            return true;
        const struct arg *node = &nodes[i], *matched = child != NULL ? child : node;
        size_t choice = child != NULL ? (size_t)(child - node->children) + 1 : 1;
        bool again = chosen[i] != 0 && !node->multiple;
        if (again && (chosen[i] != choice || matched->once))
            return fail(m, ERR_SYNTAX);
        chosen[i] = (uint8_t)choice;
        if (child != NULL)
            note(m, node, m->at);
        bool simple = matched->child_count == 0 && !matched->multiple;
        size_t after = simple ? 0 : reserve + least_words_of(nodes + count, rest);
        if (!match_one(m, matched, false, after))
            return false;
        if (matched->multiple && !matched->multiple_token && matched->token != NULL &&
            !match_more_values(m, matched, nodes, count, after))
            return false;
    }
    return true;
}

/* How often `node` repeats by the number in an earlier word; 0 if that is no number above 0. */
static size_t repeat_count(const struct matcher *m, const struct arg *node)
{
    struct slice word = m->argv[args_at(m->out, node->repeats_by)];
    size_t count = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || count > m->argc)
            return count > m->argc ? count : 0;
        count = count * 10 + (size_t)(word.data[i] - '0');
    }
    return count;
}

static bool match_repeated(struct matcher *m, const struct arg *node, const struct arg *next,
                           size_t next_count, size_t reserve)
{
    size_t exact = node->repeats_by != 0 ? repeat_count(m, node) : 0;
    size_t least = least_words(node), done = 0;
    if (node->repeats_by != 0 && exact == 0)
        return fail(m, ERR_SYNTAX);
    for (;;) {
        if (exact != 0 ? done == exact : m->at >= m->argc || m->argc - m->at < reserve + least)
            break;
        if (exact == 0 && done > 0) {
            /* options that may follow end the list */
            size_t options = 0;
            const struct arg *child;
            while (options < next_count && next[options].optional && is_keyword(&next[options]))
                options++;
            if (options > 0 && find_option(m, next, options, &child) != options)
                break;
        }
        if (!match_one(m, node, done > 0 && !node->multiple_token, reserve))
            return false;
        done++;
    }
    return done > 0 || node->optional || fail(m, ERR_SYNTAX);
}

static bool match_sequence(struct matcher *m, const struct arg *nodes, size_t count, size_t reserve)
{
    for (size_t i = 0; i < count;) {
        const struct arg *node = &nodes[i];
        if (node->optional && is_keyword(node)) {
            size_t end = i + 1;
            while (end < count && nodes[end].optional && is_keyword(&nodes[end]))
                end++;
            if (!match_options(m, node, end - i, count - end, reserve))
                return false;
            i = end;
            continue;
        }
        i++;
        bool simple = node->child_count == 0 && !node->multiple && !node->optional;
        size_t after = simple ? 0 : reserve + least_words_of(nodes + i, count - i);
        if (node->multiple) {
            if (!match_repeated(m, node, nodes + i, count - i, after))
                return false;
        } else if (!node->optional || m->argc - m->at >= after + least_words(node)) {
            if (node->optional && m->at == m->argc)
                continue;
            if (!match_one(m, node, false, after))
                return false;
        }
    }
    return true;
}

bool args_match(const struct command *command, const struct slice *argv, size_t argc,
                struct args *out, const char **error)
{
    struct matcher m = {.argv = argv, .argc = argc, .out = out, .error = NULL};
    size_t lead = command->lead_args, count = command->arg_count - lead;
    m.at = (command->parent != NULL ? 2 : 1) + lead;
    out->present = 0;
    tu_check(m.at <= argc, "%s matched before its arity was checked", command->name);
    bool fits = command->only_options ? match_options(&m, command->args + lead, count, 0, 0)
                                      : match_sequence(&m, command->args + lead, count, 0);
    if (fits && m.at == argc)
        return true;
    *error = m.error != NULL ? m.error : ERR_SYNTAX;
    return false;
}

/* A value at a fixed place that nobody needs to look at before the handler does. */
static bool is_plain(const struct arg *node)
{
    return node->token == NULL && node->check == NULL && node->id == 0 &&
           node->type != ARG_TYPE_ONEOF && node->type != ARG_TYPE_BLOCK &&
           node->type != ARG_TYPE_PURE_TOKEN;
}

static uint32_t plain_argc(const struct command *command)
{
    uint32_t own_words = command->parent != NULL ? 2 : 1, words = own_words;
    bool all_plain = true, unbounded = false;
    for (size_t i = 0; i < command->arg_count; i++) {
        const struct arg *node = &command->args[i];
        bool plain = is_plain(node);
        if (!node->optional && !plain)
            return 0;
        all_plain = all_plain && plain;
        unbounded = unbounded || (plain && node->multiple);
        words += node->optional ? 0 : 1;
    }
    bool exact = command->arity > 0 && command->arg_count + own_words == (size_t)command->arity;
    bool nothing = unbounded || exact || command->arg_count == 0;
    return command->parse == NULL && all_plain && nothing ? COMMAND_ALWAYS_PLAIN : words;
}

void args_derive(struct command *command)
{
    command->plain_argc = plain_argc(command);
    size_t lead = 0, least = command->arity < 0 ? (size_t)-command->arity : (size_t)command->arity;
    size_t own_words = command->parent != NULL ? 2 : 1;
    while (lead < command->arg_count && own_words + lead < least &&
           is_plain(&command->args[lead]) && !command->args[lead].optional &&
           !command->args[lead].multiple)
        lead++;
    command->lead_args = (uint32_t)lead;
    command->only_options = true;
    for (size_t i = lead; i < command->arg_count; i++)
        command->only_options =
            command->only_options && command->args[i].optional && is_keyword(&command->args[i]);
}

const char *arg_type_name(enum arg_type type)
{
    static const char *const names[] = {
        [ARG_TYPE_STRING] = "string",         [ARG_TYPE_INTEGER] = "integer",
        [ARG_TYPE_DOUBLE] = "double",         [ARG_TYPE_KEY] = "key",
        [ARG_TYPE_PATTERN] = "pattern",       [ARG_TYPE_UNIX_TIME] = "unix-time",
        [ARG_TYPE_PURE_TOKEN] = "pure-token", [ARG_TYPE_ONEOF] = "oneof",
        [ARG_TYPE_BLOCK] = "block",
    };
    return names[type];
}
