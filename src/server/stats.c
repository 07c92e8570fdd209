/* stats.c - see stats.h.
 *
 * A thread gets a number at its first use; stats->slots[number] is its slot, made at first use. Only
 * that thread writes it, with relaxed atomic loads and stores, which are plain instructions. Threads
 * beyond SLOTS_MAX share the last slot, with atomic additions. Slots are never freed before the whole:
 * a thread that ends leaves its counts behind, and the runtime reuses its threads.
 *
 * Per command a slot has four counters; the histogram of a command is made at its first use. It is
 * log-linear: 128 steps for each power of two, so that a value is known to 1/128, up to 2^40 ns. A
 * histogram is only as long as its largest value asks for: it is allocated in parts, one a power.
 */
#include "server/stats.h"

#include "base/check.h"
#include "runtime/sched/park.h"

#include <tuco/mem.h>

#include <stdatomic.h>

enum {
    SLOTS_MAX = 256,
    STEPS_LOG = 7,
    STEPS = 1 << STEPS_LOG, /* a part: counts of the values of one power of two */
    PARTS = 34,             /* 0: below 128 ns; p: 2^(p+6) .. 2^(p+7) - 1 */
    PREFIX_MAX = 32,        /* bytes kept of an error's first word */
    SAMPLES = 16,
};

typedef _Atomic uint64_t counter;

struct histogram {
    _Atomic(counter *) parts[PARTS]; /* each of STEPS counts */
};
struct command_slot {
    counter calls, duration_ns, rejected, failed;
    _Atomic(struct histogram *) histogram;
};
struct stats_slot {
    counter values[STAT_COUNT];
    _Atomic uint64_t generation;
    bool shared;                    /* by several threads */
    char pad[128];                  /* the allocator's neighbour is another thread's */
    struct command_slot commands[]; /* stats->commands */
};

struct error_count {
    counter count;
    _Atomic uint32_t size; /* 0: free; else the bytes of the prefix, published after them */
    char prefix[PREFIX_MAX];
};

struct stats {
    unsigned commands;
    _Atomic uint64_t generation;
    _Atomic(struct stats_slot *) slots[SLOTS_MAX];
    struct tu__lock errors_lock; /* adding a prefix, and stats_reset */
    _Atomic bool errors_full;
    struct error_count errors[STATS_ERRORS_MAX];
    int64_t sampled_ns; /* the cron's alone, as are the previous values */
    uint64_t previous[RATE_COUNT];
    unsigned sample_next;
    _Atomic double samples[RATE_COUNT][SAMPLES];
};

struct stats *stats_create(unsigned commands)
{
    struct stats *stats = tu_alloc_zeroed(sizeof *stats);
    if (stats != NULL)
        stats->commands = commands;
    return stats;
}

static void histogram_free(struct histogram *h)
{
    for (int i = 0; h != NULL && i < PARTS; i++)
        tu_free(atomic_load_explicit(&h->parts[i], memory_order_relaxed));
    tu_free(h);
}

void stats_free(struct stats *stats)
{
    for (int i = 0; stats != NULL && i < SLOTS_MAX; i++) {
        struct stats_slot *slot = atomic_load_explicit(&stats->slots[i], memory_order_acquire);
        for (unsigned k = 0; slot != NULL && k < stats->commands; k++)
            histogram_free(
                atomic_load_explicit(&slot->commands[k].histogram, memory_order_acquire));
        tu_free(slot);
    }
    tu_free(stats);
}

/* ---- writing ---- */

/* Numbers threads in the order in which they first count something. Not inlined: the address of a
 * thread's variable must not be kept over a call that may move the goroutine. */
__attribute__((noinline)) static unsigned thread_number(void)
{
    static _Atomic unsigned next = 1;
    static __thread unsigned number;
    if (number == 0)
        number = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
    return number - 1;
}

static void set_zero(counter *c)
{
    atomic_store_explicit(c, 0, memory_order_relaxed);
}

static void histogram_clear(struct histogram *h)
{
    for (int i = 0; h != NULL && i < PARTS; i++) {
        counter *part = atomic_load_explicit(&h->parts[i], memory_order_relaxed);
        for (int k = 0; part != NULL && k < STEPS; k++)
            set_zero(&part[k]);
    }
}

/* The owner starts again after CONFIG RESETSTAT. */
__attribute__((noinline, cold)) static void
slot_restart(struct stats *stats, struct stats_slot *slot, uint64_t generation)
{
    for (int i = 0; i < STAT_COUNT; i++)
        set_zero(&slot->values[i]);
    for (unsigned k = 0; k < stats->commands; k++) {
        struct command_slot *c = &slot->commands[k];
        set_zero(&c->calls);
        set_zero(&c->duration_ns);
        set_zero(&c->rejected);
        set_zero(&c->failed);
        histogram_clear(atomic_load_explicit(&c->histogram, memory_order_relaxed));
    }
    /* Release: a reader that sees the new generation sees zeros or later. */
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
}

__attribute__((noinline, cold)) static struct stats_slot *slot_make(struct stats *stats, unsigned n)
{
    size_t size = sizeof(struct stats_slot) + stats->commands * sizeof(struct command_slot);
    struct stats_slot *slot = tu_alloc_zeroed(size), *other = NULL;
    tu_check(slot != NULL, "out of memory for statistics");
    slot->shared = n == SLOTS_MAX - 1;
    atomic_store_explicit(&slot->generation, atomic_load(&stats->generation), memory_order_relaxed);
    if (atomic_compare_exchange_strong(&stats->slots[n], &other, slot))
        return slot;
    tu_free(slot); /* only the shared one has competitors */
    return other;
}

static inline struct stats_slot *my_slot(struct stats *stats)
{
    unsigned n = thread_number();
    n = n < SLOTS_MAX ? n : SLOTS_MAX - 1;
    struct stats_slot *slot = atomic_load_explicit(&stats->slots[n], memory_order_acquire);
    if (__builtin_expect(slot == NULL, 0))
        slot = slot_make(stats, n);
    uint64_t generation = atomic_load_explicit(&stats->generation, memory_order_relaxed);
    if (__builtin_expect(
            atomic_load_explicit(&slot->generation, memory_order_relaxed) != generation, 0))
        slot_restart(stats, slot, generation);
    return slot;
}

static inline void add(const struct stats_slot *slot, counter *c, uint64_t n)
{
    if (__builtin_expect(slot->shared, 0))
        atomic_fetch_add_explicit(c, n, memory_order_relaxed);
    else
        atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

void stats_add(struct stats *stats, enum stats_counter what, uint64_t n)
{
    struct stats_slot *slot = my_slot(stats);
    add(slot, &slot->values[what], n);
}

/* Part and step of a value. */
static unsigned part_of(uint64_t value, unsigned *step)
{
    unsigned top = value < STEPS ? STEPS_LOG - 1 : 63 - (unsigned)__builtin_clzll(value);
    if (top < STEPS_LOG) {
        *step = (unsigned)value;
        return 0;
    }
    unsigned part = top - STEPS_LOG + 1;
    if (part >= PARTS) {
        *step = STEPS - 1;
        return PARTS - 1;
    }
    *step = (unsigned)(value >> (top - STEPS_LOG)) & (STEPS - 1);
    return part;
}

/* The largest value that is counted there. */
static uint64_t value_of(unsigned part, unsigned step)
{
    if (part == 0)
        return step;
    return (((uint64_t)STEPS + step + 1) << (part - 1)) - 1;
}

static void histogram_add(struct stats_slot *slot, struct command_slot *c, uint64_t value)
{
    struct histogram *h = atomic_load_explicit(&c->histogram, memory_order_acquire), *none = NULL;
    if (h == NULL) {
        h = tu_alloc_zeroed(sizeof *h);
        if (h == NULL)
            return;
        if (!atomic_compare_exchange_strong(&c->histogram, &none, h)) {
            tu_free(h);
            h = none;
        }
    }
    unsigned step, part = part_of(value, &step);
    counter *counts = atomic_load_explicit(&h->parts[part], memory_order_acquire), *nothing = NULL;
    if (counts == NULL) {
        counts = tu_alloc_zeroed(STEPS * sizeof *counts);
        if (counts == NULL)
            return;
        if (!atomic_compare_exchange_strong(&h->parts[part], &nothing, counts)) {
            tu_free(counts);
            counts = nothing;
        }
    }
    add(slot, &counts[step], 1);
}

void stats_command(struct stats *stats, unsigned command_id, int64_t duration_ns, bool failed,
                   bool histogram)
{
    tu_assert(command_id < stats->commands);
    struct stats_slot *slot = my_slot(stats);
    struct command_slot *c = &slot->commands[command_id];
    uint64_t duration = duration_ns > 0 ? (uint64_t)duration_ns : 0;
    add(slot, &c->calls, 1);
    add(slot, &c->duration_ns, duration);
    if (failed)
        add(slot, &c->failed, 1);
    if (histogram)
        histogram_add(slot, c, duration);
}

void stats_command_rejected(struct stats *stats, unsigned command_id)
{
    tu_assert(command_id < stats->commands);
    struct stats_slot *slot = my_slot(stats);
    add(slot, &slot->commands[command_id].rejected, 1);
}

static struct error_count *find_error(struct stats *stats, struct slice prefix)
{
    for (int i = 0; i < STATS_ERRORS_MAX; i++) {
        struct error_count *e = &stats->errors[i];
        uint32_t size = atomic_load_explicit(&e->size, memory_order_acquire);
        if (size == 0)
            return NULL;
        if (size == prefix.size && memcmp(e->prefix, prefix.data, size) == 0)
            return e;
    }
    return NULL;
}

static struct error_count *add_error(struct stats *stats, struct slice prefix)
{
    tu__lock(&stats->errors_lock);
    struct error_count *e = find_error(stats, prefix);
    for (int i = 0; e == NULL && i < STATS_ERRORS_MAX; i++) {
        if (atomic_load_explicit(&stats->errors[i].size, memory_order_relaxed) == 0) {
            e = &stats->errors[i];
            memcpy(e->prefix, prefix.data, prefix.size);
            set_zero(&e->count);
            atomic_store_explicit(&e->size, (uint32_t)prefix.size, memory_order_release);
        }
    }
    tu__unlock(&stats->errors_lock);
    if (e == NULL)
        atomic_store_explicit(&stats->errors_full, true, memory_order_relaxed);
    return e;
}

void stats_error(struct stats *stats, struct slice text)
{
    stats_add(stats, STAT_ERROR_REPLIES, 1);
    const char *blank = memchr(text.data, ' ', text.size);
    struct slice prefix = {text.data, blank == NULL ? text.size : (size_t)(blank - text.data)};
    if (prefix.size == 0 || prefix.size > PREFIX_MAX)
        return;
    struct error_count *e = find_error(stats, prefix);
    if (e == NULL && !atomic_load_explicit(&stats->errors_full, memory_order_relaxed))
        e = add_error(stats, prefix);
    if (e != NULL)
        atomic_fetch_add_explicit(&e->count, 1, memory_order_relaxed);
}

/* ---- reading ---- */

/* Slot i if it counts: it exists and is of the current generation. */
static struct stats_slot *counting_slot(struct stats *stats, int i)
{
    struct stats_slot *slot = atomic_load_explicit(&stats->slots[i], memory_order_acquire);
    if (slot == NULL || atomic_load_explicit(&slot->generation, memory_order_acquire) !=
                            atomic_load_explicit(&stats->generation, memory_order_relaxed))
        return NULL;
    return slot;
}

static uint64_t get(counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

uint64_t stats_get(struct stats *stats, enum stats_counter what)
{
    uint64_t sum = 0;
    for (int i = 0; i < SLOTS_MAX; i++) {
        struct stats_slot *slot = counting_slot(stats, i);
        sum += slot == NULL ? 0 : get(&slot->values[what]);
    }
    return sum;
}

void stats_command_get(struct stats *stats, unsigned command_id, struct command_stats *out)
{
    tu_check(command_id < stats->commands, "no command has the number %u", command_id);
    *out = (struct command_stats){0};
    for (int i = 0; i < SLOTS_MAX; i++) {
        struct stats_slot *slot = counting_slot(stats, i);
        if (slot == NULL)
            continue;
        struct command_slot *c = &slot->commands[command_id];
        out->calls += get(&c->calls);
        out->duration_ns += get(&c->duration_ns);
        out->rejected += get(&c->rejected);
        out->failed += get(&c->failed);
    }
}

/* Adds part `part` of all slots to sum[STEPS]; true if there is anything in it. */
static bool sum_part(struct stats *stats, unsigned command_id, unsigned part, uint64_t *sum)
{
    bool any = false;
    memset(sum, 0, STEPS * sizeof *sum);
    for (int i = 0; i < SLOTS_MAX; i++) {
        struct stats_slot *slot = counting_slot(stats, i);
        struct histogram *h =
            slot == NULL
                ? NULL
                : atomic_load_explicit(&slot->commands[command_id].histogram, memory_order_acquire);
        counter *counts =
            h == NULL ? NULL : atomic_load_explicit(&h->parts[part], memory_order_acquire);
        for (int k = 0; counts != NULL && k < STEPS; k++) {
            sum[k] += get(&counts[k]);
            any |= sum[k] != 0;
        }
    }
    return any;
}

static uint64_t total_of(struct stats *stats, unsigned command_id)
{
    uint64_t sum[STEPS], total = 0;
    for (unsigned part = 0; part < PARTS; part++) {
        if (sum_part(stats, command_id, part, sum)) {
            for (int k = 0; k < STEPS; k++)
                total += sum[k];
        }
    }
    return total;
}

bool stats_command_percentiles(struct stats *stats, unsigned command_id, const double *percentiles,
                               size_t count, uint64_t *out_ns)
{
    uint64_t sum[STEPS], total = total_of(stats, command_id), seen = 0, last = 0;
    size_t next = 0;
    if (total == 0)
        return false;
    for (unsigned part = 0; part < PARTS && next < count; part++) {
        if (!sum_part(stats, command_id, part, sum))
            continue;
        for (unsigned k = 0; k < STEPS; k++) {
            if (sum[k] == 0)
                continue;
            seen += sum[k];
            last = value_of(part, k);
            while (next < count && (double)seen >= percentiles[next] / 100 * (double)total)
                out_ns[next++] = last;
        }
    }
    for (; next < count; next++) /* calls that came between the two sums */
        out_ns[next] = last;
    return true;
}

uint64_t stats_command_distribution(struct stats *stats, unsigned command_id,
                                    const uint64_t *limits_ns, size_t count, uint64_t *out)
{
    uint64_t sum[STEPS], total = 0;
    memset(out, 0, count * sizeof *out);
    for (unsigned part = 0; part < PARTS; part++) {
        if (!sum_part(stats, command_id, part, sum))
            continue;
        for (unsigned k = 0; k < STEPS; k++) {
            total += sum[k];
            for (size_t i = 0; sum[k] != 0 && i < count; i++)
                out[i] += value_of(part, k) <= limits_ns[i] ? sum[k] : 0;
        }
    }
    return total;
}

void stats_errors(struct stats *stats,
                  void (*each)(void *context, struct slice prefix, uint64_t count), void *context)
{
    for (int i = 0; i < STATS_ERRORS_MAX; i++) {
        struct error_count *e = &stats->errors[i];
        uint32_t size = atomic_load_explicit(&e->size, memory_order_acquire);
        uint64_t count = get(&e->count);
        if (size != 0 && count != 0)
            each(context, (struct slice){e->prefix, size}, count);
    }
}

bool stats_errors_overflow(const struct stats *stats)
{
    return atomic_load_explicit(&stats->errors_full, memory_order_relaxed);
}

void stats_reset(struct stats *stats)
{
    /* Prefixes stay where they are, so that a counting thread never sees one change; those with no
     * count are not shown. */
    tu__lock(&stats->errors_lock);
    for (int i = 0; i < STATS_ERRORS_MAX; i++)
        set_zero(&stats->errors[i].count);
    tu__unlock(&stats->errors_lock);
    atomic_fetch_add(&stats->generation, 1);
    for (int rate = 0; rate < RATE_COUNT; rate++) {
        for (int i = 0; i < SAMPLES; i++)
            atomic_store_explicit(&stats->samples[rate][i], 0, memory_order_relaxed);
    }
}

void stats_sample(struct stats *stats, int64_t now_ns)
{
    static const enum stats_counter sources[RATE_COUNT] = {STAT_COMMANDS, STAT_NET_INPUT,
                                                           STAT_NET_OUTPUT};
    int64_t passed = now_ns - stats->sampled_ns;
    for (int rate = 0; rate < RATE_COUNT; rate++) {
        uint64_t value = stats_get(stats, sources[rate]);
        uint64_t grown = value >= stats->previous[rate] ? value - stats->previous[rate] : value;
        double per_second =
            passed > 0 && stats->sampled_ns != 0 ? (double)grown * 1e9 / (double)passed : 0;
        atomic_store_explicit(&stats->samples[rate][stats->sample_next], per_second,
                              memory_order_relaxed);
        stats->previous[rate] = value;
    }
    stats->sample_next = (stats->sample_next + 1) % SAMPLES;
    stats->sampled_ns = now_ns;
}

double stats_rate(struct stats *stats, enum stats_rate which)
{
    double sum = 0;
    for (int i = 0; i < SAMPLES; i++)
        sum += atomic_load_explicit(&stats->samples[which][i], memory_order_relaxed);
    return sum / SAMPLES;
}
