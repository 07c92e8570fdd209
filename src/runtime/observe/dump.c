/* dump.c - tu_dump: every goroutine, and what many of them have in common.
 *
 * The first pass over all slots counts, and sorts goroutines into groups that do the same in the same frames.
 * Then one of each group is printed; or, where there are not more than FOLD_FROM, a second pass prints them all.
 * A million parked goroutines usually fill a handful of groups. Memory for the groups is mapped for the time of
 * the dump: the heap may be what is broken.
 */
#include "runtime/observe/dump.h"

#include "platform/clock.h"
#include "platform/thread.h"
#include "platform/vm.h"
#include "runtime/observe/sighting.h"

#include <tuco/observe.h>

enum { FOLD_FROM = 100, GROUPS = 4096, GROUPS_PRINTED = 500, PATIENCE_MS = 5000 };

struct group {
    uint64_t hash; /* 0: free */
    size_t count;
    struct g *example; /* the one that has waited longest */
    int64_t oldest_ns, newest_ns;
};

struct dump {
    struct report *out;
    const struct frames *own;
    struct g *self;
    uint64_t mark;
    size_t total, running, runnable;
    struct group *groups; /* NULL: no memory */
    size_t group_count;
    size_t ungrouped; /* goroutines that found no free group */
};

static struct tu__lock dumping;
static _Atomic uint64_t marks;

__attribute__((noinline)) void dump_own_frames(struct frames *f)
{
    struct m *m = tu__m();
    struct g *g = m ? m->g : NULL;
    void *low, *high;
    if (g) {
        low = g->stack_low;
        high = g;
    } else {
        size_t size;
        thread_stack(&low, &size);
        high = (char *)low + size;
    }
    const uintptr_t *frame =
        __builtin_frame_address(0); /* ours; then our caller's, whom we leave out */
    const uintptr_t *caller = (const uintptr_t *)frame[0];
    if (!low || (char *)caller < (char *)low || (char *)(caller + 2) > (char *)high) {
        f->count = 0;
        return;
    }
    frames_collect(f, caller[1], caller[0], low, high);
}

void dump_self(const struct frames *own, struct report *out)
{
    struct m *m = tu__m();
    struct sighting s;
    if (m && m->g && sighting_take(m->g, 0, &s)) {
        s.frames = *own;
        sighting_print(&s, out);
        return;
    }
    report_text(out, m ? "the scheduler [on thread " : "a plain thread [running on thread ");
    report_number(out, (uint64_t)thread_id());
    report_text(out, "]\n");
    frames_print(own, out);
}

static uint64_t hash_of(const struct sighting *s)
{
    uint64_t hash = frames_hash(&s->frames) ^ (uintptr_t)s->site;
    hash = hash * 31 + (uintptr_t)s->entry;
    hash = hash * 31 + (uint64_t)(s->state == SIGHTING_WAITING ? 3 + s->why : s->state);
    return hash | 1;
}

static struct group *group_of(struct dump *d, uint64_t hash)
{
    for (size_t i = 0; i < 64; i++) {
        struct group *group = &d->groups[((hash >> 1) + i) % GROUPS];
        if (group->hash == hash)
            return group;
        if (group->hash == 0 && d->group_count < GROUPS / 2) {
            group->hash = hash;
            d->group_count++;
            return group;
        }
    }
    return NULL;
}

static bool sort_in(struct g *g, void *arg)
{
    struct dump *d = arg;
    struct sighting s;
    if (!sighting_take(g, d->mark, &s))
        return true;
    d->total++;
    d->running += s.state == SIGHTING_RUNNING;
    d->runnable += s.state == SIGHTING_RUNNABLE;
    struct group *group = d->groups && g != d->self ? group_of(d, hash_of(&s)) : NULL;
    if (!group) {
        d->ungrouped += g != d->self;
        return true;
    }
    if (group->count == 0 || s.since_ns < group->oldest_ns) {
        group->example = g;
        group->oldest_ns = s.since_ns;
    }
    if (group->count == 0 || s.since_ns > group->newest_ns)
        group->newest_ns = s.since_ns;
    group->count++;
    return true;
}

static void print_sighting(struct sighting *s, struct report *out)
{
    if (s->state == SIGHTING_RUNNING)
        (void)frames_ask(&s->frames, s->thread, s->g);
    sighting_print(s, out);
}

static bool print_one(struct g *g, void *arg)
{
    struct dump *d = arg;
    struct sighting s;
    if (g == d->self || !sighting_take(g, d->mark, &s))
        return true;
    report_text(d->out, "\n");
    print_sighting(&s, d->out);
    return true;
}

static void print_group(struct dump *d, const struct group *group)
{
    int64_t now_ns = clock_monotonic_ns();
    struct sighting s;
    if (group->count > 1) {
        report_text(d->out, "\n");
        report_number(d->out, group->count);
        report_text(d->out, " goroutines do the same");
        if (group->oldest_ns > 0) {
            report_text(d->out, ", for ");
            report_duration(d->out, now_ns - group->newest_ns);
            report_text(d->out, " to ");
            report_duration(d->out, now_ns - group->oldest_ns);
        }
        report_text(d->out, "; one of them:");
    }
    report_text(d->out, "\n");
    if (sighting_take(group->example, d->mark, &s))
        print_sighting(&s, d->out);
    else
        report_text(d->out, "(it has finished meanwhile)\n");
}

/* The largest groups first: those are what one looks for. */
static void print_groups(struct dump *d)
{
    size_t printed = 0, seen = 0;
    for (; printed < GROUPS_PRINTED; printed++) {
        struct group *largest = NULL;
        for (size_t i = 0; i < GROUPS; i++)
            if (d->groups[i].count > (largest ? largest->count : 0))
                largest = &d->groups[i];
        if (!largest)
            break;
        seen += largest->count;
        print_group(d, largest);
        largest->count = 0;
    }
    size_t left = d->ungrouped;
    for (size_t i = 0; i < GROUPS; i++)
        left += d->groups[i].count;
    if (left > 0) {
        report_text(d->out, "\n");
        report_number(d->out, left);
        report_text(d->out, " more goroutines, in further states, are not shown\n");
    }
}

static void print_summary(struct dump *d)
{
    report_text(d->out, "\ntuco: ");
    report_number(d->out, d->total);
    report_text(d->out, d->total == 1 ? " goroutine (" : " goroutines (");
    report_number(d->out, d->running);
    report_text(d->out, " running, ");
    report_number(d->out, d->runnable);
    report_text(d->out, " runnable), at most ");
    report_number(d->out, tu__sched.proc_count);
    report_text(d->out, " at once\n");
}

void dump_all(const struct frames *own, struct report *out)
{
    struct m *m = tu__m();
    struct dump d = {.out = out, .own = own, .self = m ? m->g : NULL};
    bool locked = tu__trylock(&dumping);
    for (int i = 0; !locked && i < PATIENCE_MS; i++) {
        thread_sleep_ns(TU_MS);
        locked = tu__trylock(&dumping);
    }
    d.mark = atomic_fetch_add_explicit(&marks, 1, memory_order_relaxed) + 1;
    tu__mark_queued(d.mark);
    d.groups = vm_map(GROUPS * sizeof *d.groups);
    goroutine_each(sort_in, &d);
    print_summary(&d);
    if (d.self && own) {
        report_text(out, "\n");
        dump_self(own, out);
    }
    if (d.total <= FOLD_FROM)
        goroutine_each(print_one, &d);
    else if (d.groups)
        print_groups(&d);
    if (d.groups)
        vm_unmap(d.groups, GROUPS * sizeof *d.groups);
    report_flush(out);
    if (locked)
        tu__unlock(&dumping);
}

void tu_dump(int fd)
{
    struct report out;
    struct frames own;
    report_init(&out, fd);
    dump_own_frames(&own);
    dump_all(&own, &out);
}
