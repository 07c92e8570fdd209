/* Words as a client might send them, separated by line feeds: lookup, key positions and argument
 * matching stay within argv, end, and agree with each other, for every row there is. The first byte
 * chooses a row by number when it is below their number, so that rare names are reached at once. */
#include "server/arguments.h"
#include "server/command.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void check_keys(const struct command *command, const struct slice *argv, size_t argc)
{
    uint32_t at[WORDS_MAX], flags[WORDS_MAX], few[1];
    int count = command_keys_with_flags(command, argv, argc, at, flags, WORDS_MAX);
    require(count >= -1 && (count < 0 || (size_t)count <= argc));
    for (int i = 0; i < count; i++)
        require(at[i] >= 1 && at[i] < argc);
    require(command_keys(command, argv, argc, few, 1) == count);
}

static void check_args(const struct command *command, const struct slice *argv, size_t argc)
{
    struct args args;
    const char *error = NULL;
    memset(&args, 0xff, sizeof(args));
    args.context = NULL;
    for (size_t i = 0; i < command->arg_count; i++)
        if (command->args[i].check != NULL && command->parse != NULL)
            return; /* its check wants the handler's context */
    bool fits = args_parse(command, argv, argc, &args, &error);
    require(fits || (error != NULL && error[0] >= 'A' && error[0] <= 'Z'));
    for (unsigned id = 1; fits && id < ARGS_MAX; id++)
        require(!args_has(&args, id) || (args_at(&args, id) >= 1 && args_at(&args, id) < argc &&
                                         args_count(&args, id) < argc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice argv[WORDS_MAX];
    size_t argc = 0;
    if (size == 0)
        return 0;
    const char *word = (const char *)data + 1, *end = (const char *)data + size;
    if (data[0] < command_id_count()) {
        const struct command *row = command_by_id(data[0]);
        if (row->parent != NULL)
            argv[argc++] = slice_of(row->parent->name);
        argv[argc++] = slice_of(row->name);
    }
    while (word < end && argc < WORDS_MAX) {
        const char *stop = memchr(word, '\n', (size_t)(end - word));
        stop = stop != NULL ? stop : end;
        argv[argc++] = (struct slice){word, (size_t)(stop - word)};
        word = stop + 1;
    }
    const struct command *parent, *command = command_lookup(argv, argc, &parent);
    if (command == NULL || !command_arity_ok(command, argc))
        return 0;
    require(command_by_name(slice_of(command->full_name)) == command);
    check_keys(command, argv, argc);
    check_args(command, argv, argc);
    return 0;
}
