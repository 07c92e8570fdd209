/* Random calls of all commands on data, drawn from the rows' own grammars, run against a store in this process: whatever the
 * words, a handler gives exactly one well-formed reply, in RESP2 and RESP3, leaves nothing locked, and leaves the values of its
 * keys sound. Run it under ASan and UBSan; TUCO_STREAM_CALLS=1000000 makes it longer, TUCO_SEED another. */
#include "support/command_bench.h"
#include "support/command_draw.h"
#include "support/testing.h"

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static size_t choose_rows(const struct command **rows, size_t room)
{
    size_t count = 0;
    for (unsigned id = 0; id < command_id_count(); id++) {
        const struct command *c = command_by_id(id);
        const char *top = c->parent ? c->parent->full_name : c->full_name;
        bool meta = c->run && strcmp(top, "command") == 0; /* has large replies */
        if ((meta || draw_may_run(c, true)) && count < room)
            rows[count++] = c;
    }
    return count;
}

GO_TIMEOUT_TEST(command_stream, one_reply_whatever_the_words, 220)
{
    static struct bench b;
    static struct draw d;
    static const struct command *rows[512];
    size_t count = choose_rows(rows, ARG_COUNT(rows));
    uint64_t calls = setting("TUCO_STREAM_CALLS", 200000), ran = 0, good = 0;
    random_init(&d.dice.rng, setting("TUCO_SEED", 20261122));
    d.waits = true;
    bench_open(&b);
    CHECK(count > 200);
    for (uint64_t i = 0; i < calls; i++) {
        const struct command *command = rows[dice_below(&d.dice, (unsigned)count)];
        bool long_reply = strncmp(command->full_name, "command", 7) == 0;
        if (long_reply && !dice_chance(&d.dice, 3))
            continue;
        draw_call(&d, command);
        if (bench_run(&b, command, d.words, d.count, dice_chance(&d.dice, 50) ? 3 : 2)) {
            ran++;
            good += b.text[0] != '-';
        }
        b.now_ms += dice_chance(&d.dice, 30) ? (int64_t)dice_below(&d.dice, 1000) : 0;
        if (i % 500 == 0)
            bench_verify_all(&b);
        if (i % 20000 == 19999) { /* values have become long */
            bench_close(&b);
            bench_open(&b);
        }
    }
    CHECK(ran > calls / 2 && good > calls / 3);
    bench_close(&b);
}
