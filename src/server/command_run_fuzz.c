/* command_run_fuzz.c - a stream of calls drawn from the rows' grammars by the fuzzer's bytes, run against a store in this
 * process: one reply each, and sound values after each (tests/support/command_bench.h). */
#include "support/command_bench.h"
#include "support/command_draw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct command *rows[512];
static unsigned row_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench b;
    static struct draw d;
    if (row_count == 0)
        for (unsigned id = 0; id < command_id_count() && row_count < ARG_COUNT(rows); id++)
            if (draw_may_run(command_by_id(id), false))
                rows[row_count++] = command_by_id(id);
    bench_open(&b);
    d.dice.bytes = data;
    d.dice.left = size;
    while (d.dice.left > 0) {
        const struct command *command = rows[dice_below(&d.dice, row_count)];
        draw_call(&d, command);
        (void)bench_run(&b, command, d.words, d.count, 2 + (int)dice_below(&d.dice, 2));
        b.now_ms += dice_below(&d.dice, 4) == 0 ? 500 : 0;
    }
    bench_verify_all(&b);
    bench_close(&b);
    return 0;
}
