/* cmd_command.c - COMMAND: the server describes its commands, from their rows. */
#include "server/command_info.h"
#include "server/commands/handler.h"

#include "base/glob.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <tuco/mem.h>

/* ---- INFO, DOCS, COUNT ---- */

static void run_command(struct call *call)
{
    reply_array(call->reply, command_count());
    for (size_t i = 0; i < command_count(); i++)
        command_info_reply(call->reply, command_at(i));
}

static void run_command_info(struct call *call)
{
    if (call->argc == 2) {
        run_command(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *command = command_by_name(call->argv[i]);
        if (command != NULL)
            command_info_reply(call->reply, command);
        else
            reply_null(call->reply);
    }
}

static void run_command_count(struct call *call)
{
    reply_integer(call->reply, (int64_t)command_count());
}

static void reply_named_docs(struct reply *r, const struct command *command)
{
    reply_bulk_string(r, command->full_name);
    command_docs_reply(r, command);
}

/* Names that nobody knows are left out. */
static void run_command_docs(struct call *call)
{
    if (call->argc == 2) {
        reply_map(call->reply, command_count());
        for (size_t i = 0; i < command_count(); i++)
            reply_named_docs(call->reply, command_at(i));
        return;
    }
    size_t known = 0;
    for (size_t i = 2; i < call->argc; i++)
        known += command_by_name(call->argv[i]) != NULL;
    reply_map(call->reply, known);
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *command = command_by_name(call->argv[i]);
        if (command != NULL)
            reply_named_docs(call->reply, command);
    }
}

/* ---- LIST ---- */

enum { LIST_MODULE = 1, LIST_ACLCAT, LIST_PATTERN };

struct filter {
    bool none;           /* nothing passes */
    uint32_t categories; /* 0: any; else one of these */
    struct slice pattern;
    bool by_pattern;
};

static bool passes(const struct filter *filter, const struct command *command)
{
    if (filter->none || (filter->categories != 0 && !(command->categories & filter->categories)))
        return false;
    return !filter->by_pattern || glob_match(filter->pattern, slice_of(command->full_name), true);
}

/* Counts the commands that pass, subcommands too, and writes their names if `r` is not NULL. */
static size_t list_commands(struct reply *r, const struct filter *filter)
{
    size_t count = 0;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        for (size_t k = 0; k <= command->subcommand_count; k++) {
            const struct command *c = k == 0 ? command : &command->subcommands[k - 1];
            if (!passes(filter, c))
                continue;
            count++;
            if (r != NULL)
                reply_bulk_string(r, c->full_name);
        }
    }
    return count;
}

static void run_command_list(struct call *call)
{
    struct filter filter = {0};
    if (call->argc > 2) {
        if (args_has(call->args, LIST_MODULE)) {
            filter.none = true; /* no command comes from a module */
        } else if (args_has(call->args, LIST_ACLCAT)) {
            struct slice name = call->argv[args_at(call->args, LIST_ACLCAT)];
            for (unsigned i = 0; i < ACL_CATEGORY_COUNT; i++)
                if (slice_equal_nocase(name, slice_of(acl_category_name(i))))
                    filter.categories = 1u << i;
            filter.none = filter.categories == 0;
        } else {
            filter.pattern = call->argv[args_at(call->args, LIST_PATTERN)];
            filter.by_pattern = true;
        }
    }
    reply_array(call->reply, list_commands(NULL, &filter));
    list_commands(call->reply, &filter);
}

/* ---- GETKEYS ---- */

/* BITFIELD with nothing but whole GETs. */
static bool only_gets(const struct slice *argv, size_t argc)
{
    size_t i = 2;
    while (i < argc) {
        size_t left = argc - i - 1;
        if (left >= 2 && slice_equal_nocase(argv[i], SLICE("GET")))
            i += 3;
        else if (left >= 1 && slice_equal_nocase(argv[i], SLICE("OVERFLOW")))
            i += 2;
        else
            return false;
    }
    return true;
}

/* What the call does with a key, where the row says that it depends on the arguments: SET reads the
 * old value only when asked to. */
static uint32_t exact_flags(const struct command *command, const struct slice *argv, size_t argc,
                            uint32_t flags)
{
    flags &= ~(uint32_t)KEY_INCOMPLETE; /* this one is found */
    if (!(flags & KEY_VARIABLE_FLAGS))
        return flags;
    if (strcmp(command->name, "BITFIELD") == 0)
        return only_gets(argv, argc) ? KEY_RO | KEY_ACCESS : flags & ~(uint32_t)KEY_VARIABLE_FLAGS;
    for (size_t i = 3; i < argc; i++)
        if (slice_equal_nocase(argv[i], SLICE("GET")))
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
    return KEY_OW | KEY_UPDATE;
}

/* The row of the command that argv[2..] spells, where it has keys in this call; else replies why not. */
static const struct command *inner_command(struct call *call)
{
    const struct slice *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *command = command_lookup(argv, argc, NULL);
    const char *error = NULL;
    if (command == NULL)
        error = ERR_KEYS_COMMAND;
    else if (!command_has_keys(command))
        error = ERR_KEYS_NONE;
    else if (!command_arity_ok(command, argc))
        error = ERR_KEYS_ARITY;
    if (error == NULL)
        return command;
    reply_error(call->reply, error);
    return NULL;
}

/* A key that the row wants and the call does not reach, although it has enough words: PFMERGE without sources. */
static bool lacks_a_key(const struct command *command, size_t argc)
{
    for (size_t i = 0; i < command->key_spec_count; i++)
        if (command->keys[i].begin == KEY_BEGIN_INDEX &&
            (size_t)command->keys[i].begin_index >= argc)
            return true;
    return false;
}

static void get_keys(struct call *call, bool with_flags)
{
    const struct slice *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *command = inner_command(call);
    if (command == NULL)
        return;
    uint32_t *positions = tu_alloc(2 * argc * sizeof(*positions)), *flags = positions + argc;
    if (positions == NULL) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    int count = command_keys_with_flags(command, argv, argc, positions, flags, argc);
    if (count < 0 || lacks_a_key(command, argc) ||
        (count == 0 && !(command->flags & CMD_NO_MANDATORY_KEYS))) {
        reply_error(call->reply, ERR_KEYS_ARGUMENTS);
    } else {
        reply_array(call->reply, (size_t)count);
        for (int i = 0; i < count; i++) {
            if (with_flags)
                reply_array(call->reply, 2);
            reply_bulk(call->reply, argv[positions[i]]);
            if (with_flags)
                command_key_flags_reply(call->reply, exact_flags(command, argv, argc, flags[i]));
        }
    }
    tu_free(positions);
}

static void run_command_getkeys(struct call *call)
{
    get_keys(call, false);
}

static void run_command_getkeysandflags(struct call *call)
{
    get_keys(call, true);
}

static void run_command_help(struct call *call)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    INFO of all commands.",
        "COUNT",
        "    How many commands there are.",
        "DOCS [<command-name> ...]",
        "    Summary, arguments, complexity and history of the commands named, or of all.",
        "GETKEYS <full-command>",
        "    Which words of a command are keys.",
        "GETKEYSANDFLAGS <full-command>",
        "    The same, with what the command does to each key.",
        "INFO [<command-name> ...]",
        "    Arity, flags, keys and categories of the commands named, or of all.",
        "LIST [FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <pattern>]",
        "    Names of commands and subcommands.",
    };
    handler_help(call, lines, ARG_COUNT(lines));
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "COMMAND",
     .run = run_command,
     .arity = -1,
     .flags = CMD_LOADING | CMD_STALE,
     .acl = ACL_CONNECTION,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.8.13",
     .complexity = "O(N)",
     .summary = "Describes the commands of this server.",
     .tips = ROW_WORDS("nondeterministic_output_order"),
     ROW_SUBCOMMANDS(
         {.name = "COUNT",
          .run = run_command_count,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.8.13",
          .complexity = "O(1)",
          .summary = "Counts the commands of this server."},
         {.name = "DOCS",
          .run = run_command_docs,
          .arity = -2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "7.0.0",
          .complexity = "O(N)",
          .summary = "Documents commands: summary, arguments, complexity and history.",
          .tips = ROW_WORDS("nondeterministic_output_order"),
          ROW_ARGS(ARG_STRING("command-name", ARG_OPTIONAL, ARG_MULTIPLE))},
         {.name = "GETKEYS",
          .run = run_command_getkeys,
          .arity = -3,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.8.13",
          .complexity = "O(N)",
          .summary = "Finds the keys in the words of a command.",
          ROW_ARGS(ARG_STRING("command"), ARG_STRING("arg", ARG_OPTIONAL, ARG_MULTIPLE))},
         {.name = "GETKEYSANDFLAGS",
          .run = run_command_getkeysandflags,
          .arity = -3,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "7.0.0",
          .complexity = "O(N)",
          .summary = "Finds the keys in the words of a command and what happens to each.",
          ROW_ARGS(ARG_STRING("command"), ARG_STRING("arg", ARG_OPTIONAL, ARG_MULTIPLE))},
         {.name = "HELP",
          .run = run_command_help,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "5.0.0",
          .complexity = "O(1)",
          .summary = "Explains the subcommands of COMMAND."},
         {.name = "INFO",
          .run = run_command_info,
          .arity = -2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.8.13",
          .complexity = "O(N)",
          .summary = "Describes commands: arity, flags, keys and categories.",
          .tips = ROW_WORDS("nondeterministic_output_order"),
          .history = ROW_WORDS("7.0.0", "Describes all commands when none is named."),
          ROW_ARGS(ARG_STRING("command-name", ARG_OPTIONAL, ARG_MULTIPLE))},
         {.name = "LIST",
          .run = run_command_list,
          .arity = -2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_CONNECTION,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "7.0.0",
          .complexity = "O(N)",
          .summary = "Lists the names of commands, filtered if asked.",
          .tips = ROW_WORDS("nondeterministic_output_order"),
          ROW_ARGS(ARG_ONEOF("filterby", (ARG_OPTIONAL, .token = "FILTERBY"),
                             ARG_STRING("module-name", .token = "MODULE", .id = LIST_MODULE),
                             ARG_STRING("category", .token = "ACLCAT", .id = LIST_ACLCAT),
                             ARG_PATTERN("pattern", .token = "PATTERN", .id = LIST_PATTERN)))})},
};
const struct command_family command_family = COMMAND_FAMILY(rows);
