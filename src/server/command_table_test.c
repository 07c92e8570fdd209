/* Lookup by name, subcommands, rename-command, and where keys are. */
#include "server/command.h"
#include "support/testing.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static struct slice words[64];
static size_t split(const char *line)
{
    static char copy[1024];
    size_t n = 0;
    strcpy(copy, line);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
        words[n++] = slice_of(w);
    return n;
}

static const struct command *look_up(const char *line, const struct command **parent)
{
    size_t n = split(line);
    return command_lookup(words, n, parent);
}

TEST(command_table, finds_every_row_in_any_case)
{
    for (unsigned id = 0; id < command_id_count(); id++) {
        const struct command *c = command_by_id(id), *found;
        char name[128];
        strcpy(name, c->full_name);
        CHECK(command_by_name(slice_of(name)) == c);
        for (char *p = name; *p != '\0'; p += 2)
            *p = (char)toupper(*p);
        CHECK(command_by_name(slice_of(name)) == c);
        char *bar = strchr(name, '|');
        if (bar != NULL)
            *bar = ' ';
        found = look_up(name, NULL);
        CHECK(found == c);
        CHECK_EQ(command_id(c), id);
        CHECK(command_parent(c) == NULL || command_parent(c)->subcommand_count > 0);
    }
    CHECK(command_by_id(command_id_count()) == NULL);
}

TEST(command_table, top_level_rows_are_in_order)
{
    for (size_t i = 1; i < command_count(); i++)
        CHECK(strcmp(command_at(i - 1)->name, command_at(i)->name) < 0);
    CHECK(command_at(command_count()) == NULL);
}

TEST(command_table, unknown_names)
{
    const struct command *parent;
    CHECK(look_up("nosuch a b", &parent) == NULL && parent == NULL);
    CHECK(look_up("gett k", &parent) == NULL && parent == NULL);
    CHECK(look_up("object nosuch k", &parent) == NULL);
    CHECK(parent != NULL && strcmp(parent->full_name, "object") == 0);
    const struct command *object = look_up("object", &parent);
    CHECK(object != NULL && object->run == NULL);
    CHECK(command_by_name(slice_of("")) == NULL);
    CHECK(command_by_name(slice_of("get|")) == NULL);
    CHECK(command_by_name(slice_of("|")) == NULL);
    CHECK(command_by_name(slice_of("object|freq|x")) == NULL);
    CHECK(command_by_name(slice_of("freq")) == NULL);
    /* names that fold to the same letters, but are others */
    CHECK(command_by_name((struct slice){"\x47\x45\x14", 3}) == NULL);
    CHECK(command_by_name((struct slice){"ge\0", 3}) == NULL);
}

TEST(command_table, arity)
{
    const struct command *get = look_up("get k", NULL), *set = look_up("set k", NULL);
    CHECK(command_arity_ok(get, 2) && !command_arity_ok(get, 1) && !command_arity_ok(get, 3));
    CHECK(command_arity_ok(set, 3) && command_arity_ok(set, 9) && !command_arity_ok(set, 2));
}

TEST(command_table, rename)
{
    size_t before = command_count();
    const struct command *get = look_up("get k", NULL);
    CHECK_EQ(command_rename(slice_of("GET"), slice_of("b840fc02d524045429941cc15f59e41c")), 0);
    CHECK(look_up("get k", NULL) == NULL);
    CHECK(look_up("B840FC02d524045429941cc15f59e41c k", NULL) == get);
    CHECK_EQ(command_count(), before);
    CHECK_EQ(command_rename(slice_of("GET"), slice_of("x")), -ENOENT);
    CHECK_EQ(command_rename(slice_of("SET"), slice_of("del")), -EEXIST);
    CHECK_EQ(command_rename(slice_of("KEYS"), slice_of("")), 0);
    CHECK(look_up("keys *", NULL) == NULL);
    CHECK_EQ(command_count(), before - 1);
    for (size_t i = 0; i < command_count(); i++)
        CHECK(strcmp(command_at(i)->name, "KEYS") != 0);
    /* every other name is still found */
    for (size_t i = 0; i < command_count(); i++)
        if (command_at(i) != get)
            CHECK(command_by_name(slice_of(command_at(i)->name)) == command_at(i));
    CHECK_EQ(command_rename(slice_of("SET"), slice_of("GET")), 0); /* free by now */
    CHECK(strcmp(look_up("get k v", NULL)->full_name, "set") == 0);
}

static int keys_of(const char *line, uint32_t *at, size_t capacity)
{
    size_t n = split(line);
    const struct command *c = command_lookup(words, n, NULL);
    REQUIRE(c != NULL);
    return command_keys(c, words, n, at, capacity);
}

TEST(command_keys, positions)
{
    uint32_t at[8];
    CHECK_EQ(keys_of("get k", at, 8), 1);
    CHECK_EQ(at[0], 1);
    CHECK_EQ(keys_of("object freq k", at, 8), 1);
    CHECK_EQ(at[0], 2);
    CHECK_EQ(keys_of("mget a b c", at, 8), 3);
    CHECK(at[0] == 1 && at[1] == 2 && at[2] == 3);
    CHECK_EQ(keys_of("mset a 1 b 2", at, 8), 2);
    CHECK(at[0] == 1 && at[1] == 3);
    CHECK_EQ(keys_of("copy a b DB 1", at, 8), 2);
    CHECK(at[0] == 1 && at[1] == 2);
    CHECK_EQ(keys_of("lcs a b", at, 8), 2);
    CHECK_EQ(keys_of("scan 0", at, 8), 0);
    CHECK_EQ(keys_of("command count", at, 8), 0);
    at[1] = 77;
    CHECK_EQ(keys_of("mget a b c", at, 1), 3); /* counted, not stored */
    CHECK_EQ(at[1], 77);
}

TEST(command_keys, numkeys_of_hostile_clients)
{
    uint32_t at[8];
    CHECK_EQ(keys_of("msetex 2 a 1 b 2 NX", at, 8), 2);
    CHECK(at[0] == 2 && at[1] == 4);
    CHECK_EQ(keys_of("msetex 0 a 1", at, 8), -1);
    CHECK_EQ(keys_of("zunionstore d 0 a", at, 8), -1);
    CHECK_EQ(keys_of("msetex -1 a 1", at, 8), -1);
    CHECK_EQ(keys_of("msetex x a 1", at, 8), -1);
    CHECK_EQ(keys_of("msetex 9 a 1", at, 8), -1);
    CHECK_EQ(keys_of("msetex 18446744073709551615 a 1", at, 8), -1);
    CHECK_EQ(keys_of("msetex 18446744073709551617 a 1", at, 8), -1);
    CHECK_EQ(keys_of("msetex 4 a 1", at, 8), -1);
}

/* One key that another word names: the last STORE or STOREDIST of GEORADIUS; KEYS of MIGRATE. */
TEST(command_keys, words_in_place_of_others)
{
    uint32_t at[8];
    CHECK_EQ(keys_of("georadius k 1 2 3 m", at, 8), 1);
    CHECK_EQ(keys_of("georadius k 1 2 3 m store a storedist b", at, 8), 2);
    CHECK(at[0] == 1 && at[1] == 9);
    CHECK_EQ(keys_of("georadius k 1 2 3 m STOREDIST a STORE b STORE c", at, 8), 2);
    CHECK(at[0] == 1 && at[1] == 11);
    CHECK_EQ(keys_of("georadius k 1 2 3 m STORE STOREDIST STORE", at, 8), 2);
    CHECK(at[0] == 1 && at[1] == 7);
    CHECK_EQ(keys_of("migrate h 1 k 0 1", at, 8), 1);
    CHECK_EQ(at[0], 3);
    CHECK_EQ(keys_of("migrate h 1 k 0 1 KEYS a", at, 8), -1);
}

static uint32_t at_of(const struct key_spec *spec, const char *line, uint32_t *at, int *count)
{
    const struct command c = {.name = "X", .keys = spec, .key_spec_count = 1};
    size_t n = split(line);
    *count = command_keys(&c, words, n, at, 8);
    return at[0];
}

/* Shapes that no row has yet: a keyword, from either end, and a limit. */
TEST(command_keys, keywords_and_limits)
{
    static const struct key_spec streams = {.begin = KEY_BEGIN_KEYWORD,
                                            .begin_keyword = "STREAMS",
                                            .begin_index = 1,
                                            .find = KEY_FIND_RANGE,
                                            .last = -1,
                                            .step = 1,
                                            .limit = 2};
    static const struct key_spec last = {.begin = KEY_BEGIN_KEYWORD,
                                         .begin_keyword = "KEYS",
                                         .begin_index = -2,
                                         .find = KEY_FIND_RANGE,
                                         .last = -1,
                                         .step = 1};
    static const struct key_spec hidden = {.flags = KEY_NOT_KEY,
                                           .begin = KEY_BEGIN_INDEX,
                                           .begin_index = 1,
                                           .find = KEY_FIND_RANGE,
                                           .step = 1};
    uint32_t at[8];
    int count;
    CHECK_EQ(at_of(&streams, "XREAD COUNT 2 STREAMS a b 0 0", at, &count), 4);
    CHECK_EQ(count, 2);
    at_of(&streams, "XREAD COUNT 2 STREAMS", at, &count);
    CHECK_EQ(count, 0);
    at_of(&streams, "XREAD STREAMS a", at, &count);
    CHECK_EQ(count, -1);
    CHECK_EQ(at_of(&last, "MIGRATE h p x KEYS a b", at, &count), 5);
    CHECK_EQ(count, 2);
    at_of(&last, "MIGRATE h", at, &count);
    CHECK_EQ(count, 0);
    at_of(&hidden, "SPUBLISH c m", at, &count);
    CHECK_EQ(count, 0);
}
