/* frames.c - see frames.h. */
#include "runtime/observe/frames.h"

#include "platform/symbol.h"
#include "runtime/sched/fiber.h"

#include <string.h>

static void add(struct frames *f, uintptr_t pc)
{
    if (f->count < FRAMES_FIRST)
        f->first[f->count] = pc;
    else
        f->last[f->count % FRAMES_LAST] = pc;
    f->count++;
}

TU__RACY void frames_collect(struct frames *f, uintptr_t pc, uintptr_t fp, const void *low,
                             const void *high)
{
    uintptr_t at = (uintptr_t)low;
    f->count = 0;
    f->exact = false;
    if (pc)
        add(f, pc);
    while (fp >= at && fp <= (uintptr_t)high - 2 * sizeof fp && fp % sizeof fp == 0) {
        const uintptr_t *frame = (const uintptr_t *)fp;
        uintptr_t next = frame[0], back = frame[1];
        if (!back)
            break;
        add(f, back);
        at = fp +
             2 * sizeof fp; /* outer frames lie higher, or somebody has changed them meanwhile */
        fp = next;
    }
}

static uintptr_t frame_at(const struct frames *f, size_t i)
{
    return i < FRAMES_FIRST ? f->first[i] : f->last[i % FRAMES_LAST];
}

/* Whether frame i was kept. */
static bool kept(const struct frames *f, size_t i)
{
    return i < FRAMES_FIRST || i + FRAMES_LAST >= f->count;
}

uint64_t frames_hash(const struct frames *f)
{
    uint64_t hash = f->count;
    for (size_t i = 0; i < f->count; i++)
        if (kept(f, i))
            hash = (hash ^ frame_at(f, i)) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static void find(const struct frames *f, size_t i, struct symbol *symbol)
{
    bool exact = i == 0 && f->exact;
    (void)symbol_find(frame_at(f, i) - !exact, symbol);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* How many of the innermost frames only say that somebody waits: those inside the public function that
 * was called; where its frame is gone, because it ended in a call, at least those of the scheduler. */
static size_t uninteresting(const struct frames *f)
{
    struct symbol symbol;
    size_t scheduler = 0;
    for (size_t i = 0; i < f->count && i < 8; i++) {
        find(f, i, &symbol);
        if (begins(symbol.function, "tu_") && !begins(symbol.function, "tu__"))
            return i;
        if (begins(symbol.function, "check_failed") || begins(symbol.function, "tu__leave") ||
            begins(symbol.function, "tu__sleeper_park"))
            scheduler = i + 1;
    }
    return scheduler;
}

/* Whether frame i is one of those with which the runtime begins every goroutine. */
static bool is_bottom(const struct frames *f, size_t i, const struct symbol *symbol)
{
    static const char *const names[] = {"call_entry", "run_body", "goroutine_main", "run_main",
                                        "tu__context_start"};
    for (size_t k = 0; f->count - i <= 5 && k < sizeof names / sizeof *names; k++)
        if (strcmp(symbol->function, names[k]) == 0)
            return true;
    return false;
}

static void print_symbol(const struct symbol *symbol, uintptr_t pc, struct report *out)
{
    report_text(out, "    ");
    if (*symbol->function) {
        report_text(out, symbol->function);
        report_text(out, "+");
        report_hex(out, pc - symbol->start);
    } else {
        report_hex(out, pc);
    }
    if (*symbol->file) {
        report_text(out, "  ");
        if (*symbol->directory) {
            report_text(out, symbol->directory);
            report_text(out, "/");
        }
        report_text(out, symbol->file);
        report_text(out, ":");
        report_number(out, symbol->line);
    } else if (*symbol->module) {
        report_text(out, "  ");
        report_text(out, symbol->module);
    }
    report_text(out, "\n");
}

void frames_print(const struct frames *f, struct report *out)
{
    bool cut = false;
    for (size_t i = uninteresting(f); i < f->count; i++) {
        if (!kept(f, i)) {
            if (!cut) {
                report_text(out, "    ... ");
                report_number(out, f->count - FRAMES_FIRST - FRAMES_LAST);
                report_text(out, " frames elided ...\n");
            }
            cut = true;
            continue;
        }
        struct symbol symbol;
        find(f, i, &symbol);
        if (!is_bottom(f, i, &symbol))
            print_symbol(&symbol, frame_at(f, i), out);
    }
}
