/* Every row of the table says what Valkey 9.1 says of that command: names, arity, flags, keys,
 * categories, tips, versions and grammar, line by line against tests/data/command_facts.txt. */
#include "server/arguments.h"
#include "server/command.h"
#include "support/testing.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Commands that Valkey 9.1 does not have; they have no facts to differ from. */
static const char *const ours[] = {"cl.throttle", "delex",  "digest", "increx",
                                   "xackdel",     "xdelex", NULL};
/* Lines of rows that Valkey does have, of options that it does not: Redis 8's. Without the indentation. */
static const struct {
    const char *command, *line;
} more[] = {
    {"set", "arg ifne-value "}, {"set", "arg ifdeq-digest "}, {"set", "arg ifdne-digest "},
    {"xadd", "arg condition "}, {"xadd", "arg keepref "},     {"xadd", "arg delref "},
    {"xadd", "arg acked "},     {"xtrim", "arg condition "},  {"xtrim", "arg keepref "},
    {"xtrim", "arg delref "},   {"xtrim", "arg acked "},
};

enum { TEXT_MAX = 1 << 20 };
static char facts[TEXT_MAX];
static char said[TEXT_MAX];
static size_t said_size;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(said + said_size, sizeof(said) - said_size, format, list);
    va_end(list);
    REQUIRE(n >= 0 && (size_t)n < sizeof(said) - said_size);
    said_size += (size_t)n;
}

static bool load_facts(void)
{
    /* this file is <root>/src/server/command_facts_test.c */
    char path[4096] = __FILE__;
    char *src = strstr(path, "src/server/");
    REQUIRE(src != NULL);
    strcpy(src, "tests/data/command_facts.txt");
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t size = fread(facts, 1, sizeof(facts) - 1, file);
    fclose(file);
    facts[size] = '\0';
    return size > 0 && size < sizeof(facts) - 1;
}

static void say_words(const char *head, const char *const *words, size_t step)
{
    if (words == NULL || words[0] == NULL)
        return;
    say("  %s", head);
    for (size_t i = 0; words[i] != NULL; i += step)
        say(" %s", words[i]);
    say("\n");
}

static void say_key(const struct key_spec *k)
{
    static const char *const names[] = {
        "RO",     "RW",     "OW",      "RM",         "access",        "update",
        "insert", "delete", "not_key", "incomplete", "variable_flags"};
    say("  key");
    for (size_t i = 0; i < ARG_COUNT(names); i++)
        if (k->flags >> i & 1)
            say(" %s", names[i]);
    if (k->begin == KEY_BEGIN_INDEX)
        say(" index %d", k->begin_index);
    else if (k->begin == KEY_BEGIN_KEYWORD)
        say(" keyword %s %d", k->begin_keyword, k->begin_index);
    else
        say(" unknown");
    if (k->find == KEY_FIND_RANGE)
        say(" range %d %d %d\n", k->last, k->step, k->limit);
    else if (k->find == KEY_FIND_KEYNUM)
        say(" keynum %d %d %d\n", k->keynum_index, k->first_key, k->keynum_step);
    else
        say(" unknown\n");
}

static void say_arg(const struct arg *arg, int indent)
{
    bool parent = arg->type == ARG_TYPE_ONEOF || arg->type == ARG_TYPE_BLOCK;
    say("%*sarg %s %s", indent, "", arg->name, arg_type_name(arg->type));
    if (!parent || arg->display != NULL)
        say(" display=%s", arg->display != NULL ? arg->display : arg->name);
    if (arg->key_spec != 0)
        say(" spec=%d", arg->key_spec - 1);
    if (arg->token != NULL)
        say(" token=%s", arg->token);
    if (arg->since != NULL)
        say(" since=%s", arg->since);
    if (arg->deprecated_since != NULL)
        say(" deprecated_since=%s", arg->deprecated_since);
    say("%s%s%s\n", arg->optional ? " optional" : "", arg->multiple ? " multiple" : "",
        arg->multiple_token ? " multiple_token" : "");
    for (size_t i = 0; i < arg->child_count; i++)
        say_arg(&arg->children[i], indent + 2);
}

static void say_command(const struct command *c)
{
    say("%s arity=%d group=%s since=%s keys=%d,%d,%d\n", c->full_name, c->arity, c->group, c->since,
        c->first_key, c->last_key, c->key_step);
    say("  flags");
    for (unsigned i = 0; command_flag_name(i) != NULL; i++)
        if (c->flags >> i & 1)
            say(" %s", command_flag_name(i));
    say("\n  acl");
    for (unsigned i = 0; acl_category_name(i) != NULL; i++)
        if (c->categories >> i & 1)
            say(" @%s", acl_category_name(i));
    say("\n");
    say_words("tips", c->tips, 1);
    say_words("history", c->history, 2);
    if (c->doc_flags != 0) {
        say("  doc%s%s", c->doc_flags & DOC_DEPRECATED ? " deprecated" : "",
            c->doc_flags & DOC_SYSCMD ? " syscmd" : "");
        if (c->deprecated_since != NULL)
            say(" since=%s replaced_by=%s", c->deprecated_since, c->replaced_by);
        say("\n");
    }
    for (size_t i = 0; i < c->key_spec_count; i++)
        say_key(&c->keys[i]);
    for (size_t i = 0; i < c->arg_count; i++)
        say_arg(&c->args[i], 2);
}

/* The paragraph of `name` in the facts, or NULL. */
static const char *find_facts(const char *name)
{
    size_t size = strlen(name);
    for (const char *line = facts; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, size) == 0 && strncmp(line + size, " arity=", 7) == 0)
            return line;
        if (*line == '\0')
            break;
    }
    return NULL;
}

/* True if this line of the row is one that Valkey lacks on purpose. */
static bool is_more(const struct command *c, const char *line)
{
    line += strspn(line, " ");
    for (size_t i = 0; i < ARG_COUNT(more); i++)
        if (strcmp(more[i].command, c->full_name) == 0 &&
            strncmp(more[i].line, line, strlen(more[i].line)) == 0)
            return true;
    return false;
}

static void compare(const struct command *c)
{
    const char *fact = find_facts(c->full_name), *own = said;
    said_size = 0;
    say_command(c);
    bool known = fact != NULL;
    for (size_t i = 0; ours[i] != NULL; i++)
        known = known || strcmp(ours[i], c->full_name) == 0;
    if (!known)
        test_fail(__FILE__, __LINE__, "%s is no command of Valkey 9.1", c->full_name);
    if (fact == NULL)
        return;
    do {
        size_t n = strcspn(fact, "\n"), m = strcspn(own, "\n");
        if (strncmp(fact, "  complexity ", 13) == 0) {
            if (c->complexity == NULL || strncmp(c->complexity, fact + 13, n - 13) != 0)
                test_fail(__FILE__, __LINE__, "%s: complexity %s, expected %.*s", c->full_name,
                          c->complexity, (int)n - 13, fact + 13);
            fact += n + 1;
            continue;
        }
        if (n != m || memcmp(fact, own, n) != 0) {
            test_fail(__FILE__, __LINE__, "%s:\n  expected %.*s\n  row says %.*s", c->full_name,
                      (int)n, fact, (int)m, own);
            return;
        }
        fact += n + 1;
        own += m + 1;
        while (is_more(c, own))
            own += strcspn(own, "\n") + 1;
    } while (*fact == ' ');
    if (*own == ' ')
        test_fail(__FILE__, __LINE__, "%s: the row says more: %s", c->full_name, own);
}

TEST(command_facts, rows_say_what_valkey_says)
{
    REQUIRE(load_facts());
    unsigned compared = 0;
    for (unsigned id = 0; id < command_id_count(); id++, compared++)
        compare(command_by_id(id));
    CHECK(compared >= 70);
}

TEST(command_facts, rows_are_complete)
{
    for (unsigned id = 0; id < command_id_count(); id++) {
        const struct command *c = command_by_id(id);
        if (c->summary == NULL || c->summary[0] == '\0')
            test_fail(__FILE__, __LINE__, "%s has no summary", c->full_name);
        if ((c->run == NULL) != (c->subcommand_count != 0) && strcmp(c->full_name, "command") != 0)
            test_fail(__FILE__, __LINE__, "%s has no handler, or one too many", c->full_name);
        if (c->scope != SCOPE_SELF && (c->scope == SCOPE_KEYS) != (c->key_spec_count != 0))
            test_fail(__FILE__, __LINE__, "%s: scope and keys disagree", c->full_name);
    }
}
