/* Three grammars that between them have every shape there is: SET (options and alternatives), ZADD
 * (options before a repeating block), XADD (nested options, a token that is a value). */
#include "server/arguments.h"

#include "server/reply_errors.h"
#include "support/testing.h"

#include <string.h>

enum { NX = 1, XX, IFEQ, GET, EX, PX, EXAT, PXAT, KEEPTTL };

static const struct arg set_args[] = {
    ARG_KEY("key", 0),
    ARG_STRING("value"),
    ARG_ONEOF("condition", (ARG_OPTIONAL), ARG_TOKEN("nx", "NX", .id = NX),
              ARG_TOKEN("xx", "XX", .id = XX),
              ARG_STRING("comparison-value", .token = "IFEQ", .id = IFEQ, .once = true)),
    ARG_TOKEN("get", "GET", ARG_OPTIONAL, .id = GET),
    ARG_ONEOF("expiration", (ARG_OPTIONAL), ARG_INTEGER("seconds", .token = "EX", .id = EX),
              ARG_INTEGER("milliseconds", .token = "PX", .id = PX),
              ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT", .id = EXAT),
              ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT", .id = PXAT),
              ARG_TOKEN("keepttl", "KEEPTTL", .id = KEEPTTL)),
};
static const struct command set = {
    .name = "SET", .arity = -3, .args = set_args, .arg_count = ARG_COUNT(set_args)};

enum { Z_NX = 1, Z_XX, Z_GT, Z_LT, Z_CH, Z_INCR, Z_DATA };
static const struct arg zadd_args[] = {
    ARG_KEY("key", 0),
    ARG_ONEOF("condition", (ARG_OPTIONAL), ARG_TOKEN("nx", "NX", .id = Z_NX),
              ARG_TOKEN("xx", "XX", .id = Z_XX)),
    ARG_ONEOF("comparison", (ARG_OPTIONAL), ARG_TOKEN("gt", "GT", .id = Z_GT),
              ARG_TOKEN("lt", "LT", .id = Z_LT)),
    ARG_TOKEN("change", "CH", ARG_OPTIONAL, .id = Z_CH),
    ARG_TOKEN("increment", "INCR", ARG_OPTIONAL, .id = Z_INCR),
    ARG_BLOCK("data", (ARG_MULTIPLE, .id = Z_DATA), ARG_DOUBLE("score"), ARG_STRING("member")),
};
static const struct command zadd = {
    .name = "ZADD", .arity = -4, .args = zadd_args, .arg_count = ARG_COUNT(zadd_args)};

enum {
    X_NOMKSTREAM = 1,
    X_MAXLEN,
    X_MINID,
    X_EQUAL,
    X_ABOUT,
    X_THRESHOLD,
    X_LIMIT,
    X_AUTO,
    X_ID,
    X_DATA
};
static const struct arg xadd_args[] = {
    ARG_KEY("key", 0),
    ARG_TOKEN("nomkstream", "NOMKSTREAM", ARG_OPTIONAL, .id = X_NOMKSTREAM),
    ARG_BLOCK("trim", (ARG_OPTIONAL),
              ARG_ONEOF("strategy", (), ARG_TOKEN("maxlen", "MAXLEN", .id = X_MAXLEN),
                        ARG_TOKEN("minid", "MINID", .id = X_MINID)),
              ARG_ONEOF("operator", (ARG_OPTIONAL), ARG_TOKEN("equal", "=", .id = X_EQUAL),
                        ARG_TOKEN("approximately", "~", .id = X_ABOUT)),
              ARG_STRING("threshold", .id = X_THRESHOLD),
              ARG_INTEGER("count", .token = "LIMIT", ARG_OPTIONAL, .id = X_LIMIT)),
    ARG_ONEOF("id-selector", (), ARG_TOKEN("auto-id", "*", .id = X_AUTO),
              ARG_STRING("id", .id = X_ID)),
    ARG_BLOCK("data", (ARG_MULTIPLE, .id = X_DATA), ARG_STRING("field"), ARG_STRING("value")),
};
static const struct command xadd = {
    .name = "XADD", .arity = -5, .args = xadd_args, .arg_count = ARG_COUNT(xadd_args)};

enum { L_KEYS = 1, L_KEY, L_LIMIT };
static const struct arg limited_args[] = {
    ARG_INTEGER("numkeys", .id = L_KEYS),
    ARG_KEY("key", 0, ARG_MULTIPLE, .id = L_KEY, .repeats_by = L_KEYS),
    ARG_INTEGER("limit", .token = "LIMIT", ARG_OPTIONAL, .id = L_LIMIT),
};
static const struct command limited = {
    .name = "LIMITED", .arity = -3, .args = limited_args, .arg_count = ARG_COUNT(limited_args)};

enum { S_COUNT = 1, S_GET, S_KEYS };
static const struct arg several_args[] = {
    ARG_KEY("key", 0),
    ARG_INTEGER("count", ARG_OPTIONAL, .id = S_COUNT),
    ARG_PATTERN("get-pattern", .token = "GET", ARG_OPTIONAL, ARG_MULTIPLE_TOKEN, .id = S_GET),
    ARG_KEY("keys", 0, .token = "KEYS", ARG_OPTIONAL, ARG_MULTIPLE, .id = S_KEYS),
};
static const struct command several = {
    .name = "SEVERAL", .arity = -2, .args = several_args, .arg_count = ARG_COUNT(several_args)};

static struct args found;
static const char *error;

static bool match(const struct command *command, const char *line)
{
    static char copy[512];
    static struct slice argv[64];
    size_t argc = 0;
    strcpy(copy, line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = slice_of(word);
    error = NULL;
    return args_match(command, argv, argc, &found, &error);
}

static bool syntax_error(const struct command *command, const char *line)
{
    return !match(command, line) && error != NULL && strcmp(error, ERR_SYNTAX) == 0;
}

static struct command derived(const struct command *row)
{
    struct command copy = *row;
    args_derive(&copy);
    return copy;
}

/* The shortcuts accept and find the same as the long way. */
static void check_shortcut(const struct command *row, const struct slice *argv, size_t argc,
                           bool accepted)
{
    static struct args again;
    const char *why = NULL;
    struct command copy = derived(row);
    bool ok = args_match(&copy, argv, argc, &again, &why);
    REQUIRE(ok == accepted && (!ok || again.present == found.present));
    for (unsigned id = 1; ok && id < ARGS_MAX; id++)
        REQUIRE(!args_has(&again, id) || args_at(&again, id) == args_at(&found, id));
    if (ok && argc == copy.plain_argc)
        REQUIRE(again.present == 0);
}

TEST(arguments, set_options_in_any_order)
{
    CHECK(match(&set, "SET k v"));
    CHECK_EQ(found.present, 0);
    CHECK(match(&set, "SET k v ex 10 get NX"));
    CHECK(args_has(&found, EX) && args_has(&found, GET) && args_has(&found, NX));
    CHECK(!args_has(&found, XX) && !args_has(&found, PX) && !args_has(&found, IFEQ));
    CHECK_EQ(args_at(&found, EX), 4);
    CHECK(match(&set, "SET k v IfEq NX KeepTTL"));
    CHECK_EQ(args_at(&found, IFEQ), 4);
    CHECK(!args_has(&found, NX) && args_has(&found, KEEPTTL));
    CHECK(match(&set, "SET NX EX PX 5")); /* positions first, whatever they are called */
    CHECK_EQ(args_at(&found, PX), 4);
}

TEST(arguments, set_again_and_conflicts)
{
    CHECK(match(&set, "SET k v EX 1 EX 2"));
    CHECK_EQ(args_at(&found, EX), 6);
    CHECK(match(&set, "SET k v NX NX GET GET KEEPTTL KEEPTTL"));
    CHECK(syntax_error(&set, "SET k v NX XX"));
    CHECK(syntax_error(&set, "SET k v EX 1 PX 1"));
    CHECK(syntax_error(&set, "SET k v EX 1 KEEPTTL"));
    CHECK(syntax_error(&set, "SET k v IFEQ a IFEQ a"));
    CHECK(syntax_error(&set, "SET k v NX IFEQ a"));
    CHECK(syntax_error(&set, "SET k v EX"));
    CHECK(syntax_error(&set, "SET k v IFEQ"));
    CHECK(syntax_error(&set, "SET k v E"));
    CHECK(syntax_error(&set, "SET k v EXX 1"));
    CHECK(syntax_error(&set, "SET k v w"));
}

TEST(arguments, zadd_grammar)
{
    CHECK(match(&zadd, "ZADD k 1 a"));
    CHECK_EQ(args_at(&found, Z_DATA), 2);
    CHECK_EQ(args_count(&found, Z_DATA), 1);
    CHECK(match(&zadd, "ZADD k CH XX gt 1 a 2 b 3 NX"));
    CHECK_EQ(args_at(&found, Z_DATA), 5);
    CHECK_EQ(args_count(&found, Z_DATA), 3);
    CHECK(args_has(&found, Z_XX) && args_has(&found, Z_GT) && args_has(&found, Z_CH));
    CHECK(!args_has(&found, Z_NX) && !args_has(&found, Z_INCR));
    CHECK(syntax_error(&zadd, "ZADD k 1 a 2"));
    CHECK(syntax_error(&zadd, "ZADD k NX XX 1 a"));
    CHECK(syntax_error(&zadd, "ZADD k NX CH"));
}

TEST(arguments, xadd_grammar)
{
    CHECK(match(&xadd, "XADD s * f v"));
    CHECK(args_has(&found, X_AUTO) && !args_has(&found, X_ID));
    CHECK_EQ(args_at(&found, X_DATA), 3);
    CHECK(match(&xadd, "XADD s NOMKSTREAM MAXLEN ~ 1000 LIMIT 5 7-1 f v g w"));
    CHECK(args_has(&found, X_NOMKSTREAM) && args_has(&found, X_MAXLEN) &&
          args_has(&found, X_ABOUT));
    CHECK(!args_has(&found, X_MINID) && !args_has(&found, X_EQUAL) && !args_has(&found, X_AUTO));
    CHECK_EQ(args_at(&found, X_THRESHOLD), 5);
    CHECK_EQ(args_at(&found, X_LIMIT), 7);
    CHECK_EQ(args_at(&found, X_ID), 8);
    CHECK_EQ(args_at(&found, X_DATA), 9);
    CHECK_EQ(args_count(&found, X_DATA), 2);
    CHECK(match(&xadd, "XADD s MINID 5 * f v"));
    CHECK_EQ(args_at(&found, X_THRESHOLD), 3);
    CHECK(syntax_error(&xadd, "XADD s MAXLEN 5 * f"));
    CHECK(syntax_error(&xadd, "XADD s * f v g"));
}

TEST(arguments, repeats_by_an_earlier_number)
{
    CHECK(match(&limited, "LIMITED 2 a LIMIT"));
    CHECK_EQ(args_at(&found, L_KEY), 2);
    CHECK_EQ(args_count(&found, L_KEY), 2);
    CHECK(match(&limited, "LIMITED 1 a LIMIT 7"));
    CHECK_EQ(args_at(&found, L_LIMIT), 4);
    CHECK(syntax_error(&limited, "LIMITED 2 a"));
    CHECK(syntax_error(&limited, "LIMITED 1 a b"));
    CHECK(syntax_error(&limited, "LIMITED 0 a"));
    CHECK(syntax_error(&limited, "LIMITED x a"));
    CHECK(syntax_error(&limited, "LIMITED 99999999999999999999999 a"));
}

TEST(arguments, several_values)
{
    CHECK(match(&several, "SEVERAL k"));
    CHECK(match(&several, "SEVERAL k 5 GET a GET b KEYS x y z"));
    CHECK_EQ(args_at(&found, S_COUNT), 2);
    CHECK_EQ(args_at(&found, S_GET), 4);
    CHECK_EQ(args_count(&found, S_GET), 2);
    CHECK_EQ(args_at(&found, S_KEYS), 8);
    CHECK_EQ(args_count(&found, S_KEYS), 3);
    CHECK(syntax_error(&several, "SEVERAL k 5 GET a b"));
    CHECK(syntax_error(&several, "SEVERAL k 5 KEYS"));
}

TEST(arguments, plain_argc_is_the_mandatory_prefix)
{
    CHECK_EQ(derived(&set).plain_argc, 3);
    CHECK_EQ(derived(&zadd).plain_argc, 0);
    CHECK_EQ(derived(&limited).plain_argc, 0);
    CHECK_EQ(derived(&several).plain_argc, 2);
    CHECK_EQ(derived(&set).lead_args, 2);
    CHECK(derived(&set).only_options && !derived(&zadd).only_options);
    CHECK(!derived(&several).only_options);
}

/* Whatever the words, the matcher ends, stays within argv and reports only what is there. */
TEST(arguments, random_words_stay_in_bounds)
{
    static const char *const words[] = {"NX",   "XX", "EX",      "GET", "KEYS", "1",
                                        "3",    "a",  "LIMIT",   "*",   "~",    "MAXLEN",
                                        "IFEQ", "CH", "KEEPTTL", "",    "ex"};
    const struct command *const all[] = {&set, &zadd, &xadd, &limited, &several};
    unsigned seed = 12345, accepted = 0;
    for (int round = 0; round < 200000; round++) {
        struct slice argv[12];
        const struct command *command = all[round % 5];
        seed = seed * 1103515245 + 12345;
        size_t least = (size_t)-command->arity, argc = least + (seed >> 16) % (12 - least + 1);
        for (size_t i = 0; i < argc; i++) {
            seed = seed * 1103515245 + 12345;
            argv[i] = slice_of(words[(seed >> 16) % ARG_COUNT(words)]);
        }
        memset(&found, 0xff, sizeof(found));
        error = NULL;
        bool ok = args_match(command, argv, argc, &found, &error);
        REQUIRE(ok || error != NULL);
        accepted += ok;
        check_shortcut(command, argv, argc, ok);
        for (unsigned id = 1; id < ARGS_MAX; id++) {
            if (!ok || !args_has(&found, id))
                continue;
            REQUIRE(args_at(&found, id) >= 1 && args_at(&found, id) < argc);
            REQUIRE(args_count(&found, id) >= 1 && args_count(&found, id) < argc);
        }
    }
    CHECK(accepted > 1000 && accepted < 199000);
}
