/* The handlers beside the model of this folder: random commands of all types, one after the other, in this process: equal
 * replies, and sound values after each (support/command_bench.h). Values leave their small forms early. TUCO_STREAM_CALLS=1000000
 * makes it longer, TUCO_SEED another. */
#include "linearizability/lin_model.h"
#include "support/command_bench.h"
#include "support/testing.h"

#include <stdio.h>

struct stream {
    struct bench bench;
    struct random_state rng;
    struct lin_scratch *scratch;
    struct lin_pool *pool;
    struct lin_state state;
    struct lin_choice choice;
    struct lin_reply wanted;
};

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* New keys of three types, in an empty store. */
static void begin(struct stream *s)
{
    static const char *const names[LIN_KEYS] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};
    bench_close(&s->bench);
    bench_open(&s->bench);
    lin_pool_clear(s->pool);
    memset(&s->state, 0, sizeof s->state);
    s->choice = (struct lin_choice){.keys = 3 + (unsigned)random_below(&s->rng, 4), .whole = true};
    for (int i = 0; i < 3; i++)
        s->choice.types |= (uint8_t)(1u << (LIN_STRING + random_below(&s->rng, 6)));
    memcpy(s->choice.key, names, sizeof names);
}

static void show(const struct stream *s, const struct lin_command *command)
{
    for (unsigned i = 0; i < command->count; i++)
        fprintf(stderr, "%.*s ", (int)command->word[i].size, command->word[i].data);
    fprintf(stderr, "\n  is    %.*s\n  must be %.*s\n", (int)s->bench.size, s->bench.text,
            (int)s->wanted.size, s->wanted.bytes);
}

static void step(struct stream *s)
{
    char text[256];
    struct lin_command command;
    const struct command *parent;
    (void)lin_command_draw(&command, &s->choice, &s->rng, text);
    const struct command *row = command_lookup(command.word, command.count, &parent);
    REQUIRE(row != NULL && bench_run(&s->bench, row, command.word, command.count, 2));
    lin_reply_canonical(&command, s->bench.text, s->bench.size);
    struct slice seen = {s->bench.text, s->bench.size};
    lin_apply(s->scratch, s->pool, &s->state, &command, &seen, &s->wanted);
    if (!slice_equal(seen, (struct slice){s->wanted.bytes, s->wanted.size})) {
        show(s, &command);
        test_fail(__FILE__, __LINE__, "another reply than the model's");
        test_fail_now();
    }
}

GO_TIMEOUT_TEST(lin_handlers, replies_are_those_of_the_model, 220)
{
    struct stream *s = calloc(1, sizeof *s);
    REQUIRE(s != NULL);
    s->scratch = lin_scratch_new();
    s->pool = lin_pool_new();
    random_init(&s->rng, setting("TUCO_SEED", 20261127));
    bench_open(&s->bench);
    for (uint64_t i = 0, calls = setting("TUCO_STREAM_CALLS", 150000); i < calls; i++) {
        if (i % 300 == 0)
            begin(s);
        step(s);
        if (i % 100 == 0)
            bench_verify_all(&s->bench);
    }
    bench_close(&s->bench);
    lin_pool_free(s->pool);
    lin_scratch_free(s->scratch);
    free(s);
}
