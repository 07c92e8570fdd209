/* sighting.c - see sighting.h.
 *
 * g->wait is written before a goroutine leaves its stack and cleared after it has come back, and g->sp
 * in between. So: read both, follow the frames, read both again; equal (and not running) means that the frames
 * are those of this wait, or of another one that began in the same millisecond at the same depth.
 */
#include "runtime/observe/sighting.h"

#include "platform/clock.h"
#include "platform/context_switch.h"
#include "platform/symbol.h"
#include "runtime/net/conn.h"
#include "runtime/time/timer.h"

#include <tuco/sync.h>

enum { LOOKS = 3 };

/* The M that runs g now, or NULL. */
TU__RACY static struct m *machine_of(const struct g *g)
{
    /* acquire: pairs with the push in tu__start_machine */
    struct m *m = atomic_load_explicit(&tu__sched.all_ms, memory_order_acquire);
    while (m && m->g != g)
        m = m->all_next;
    return m;
}

/* The mutex (or ...) whose semaphore word g waits on. */
static const void *object_of(enum tu__wait why, const void *object)
{
    switch (why) {
    case TU__WAIT_MUTEX: return (const char *)object - offsetof(struct tu_mutex, semaphore);
    case TU__WAIT_WAIT_GROUP:
        return (const char *)object - offsetof(struct tu_wait_group, semaphore);
    case TU__WAIT_RLOCK:
        return (const char *)object - offsetof(struct tu_rwmutex, reader_semaphore);
    case TU__WAIT_WLOCK:
        return (const char *)object - offsetof(struct tu_rwmutex, writer_semaphore);
    default: return object;
    }
}

TU__RACY static void look_at_wait(struct sighting *s, uint64_t wait)
{
    struct g *g = s->g;
    const char *object = g->object;
    s->since_ns = (int64_t)(wait >> 8) << 20;
    s->object = object ? object_of(s->why, object) : NULL;
    /* A timer of a sleep lies on the sleeper's own stack, and conns are never unmapped. */
    if (object && s->why == TU__WAIT_SLEEP && object >= (char *)g->stack_low &&
        object + sizeof(struct tu__timer) <= (char *)g)
        s->until_ns = ((const struct tu__timer *)object)->when_ns;
    if (object && (s->why == TU__WAIT_READ || s->why == TU__WAIT_WRITE))
        s->fd = ((const struct tu_conn *)object)->fd;
}

TU__RACY static void look_at_stack(struct sighting *s, const char *sp)
{
    struct g *g = s->g;
    s->frames.count = 0;
    s->entry = NULL;
    if (sp < (char *)g->stack_low || sp + CONTEXT_BYTES > (char *)g + sizeof *g)
        return;
    struct context_place place = context_place(sp);
    s->entry = place.entry ? g->entry : NULL;
    if (!place.entry)
        frames_collect(&s->frames, place.pc, place.fp, sp, g);
}

TU__RACY static bool look(struct sighting *s, uint64_t mark)
{
    struct g *g = s->g;
    uint64_t wait = atomic_load_explicit(&g->wait, memory_order_acquire);
    char *sp = g->sp;
    struct m *m = machine_of(g);
    bool alive = g->alive;
    s->why = (enum tu__wait)(wait & 255);
    s->serving = !alive;
    if (!m && !alive && s->why == TU__WAIT_NONE)
        return false;
    s->state = m                                                             ? SIGHTING_RUNNING
               : s->why == TU__WAIT_NONE || (mark != 0 && g->queued == mark) ? SIGHTING_RUNNABLE
                                                                             : SIGHTING_WAITING;
    s->frames.count = 0;
    if (m) {
        s->thread = m->thread_id;
        s->blocking = atomic_load_explicit(&m->blocking, memory_order_relaxed) > 0;
        return true;
    }
    if (s->state == SIGHTING_WAITING)
        look_at_wait(s, wait);
    look_at_stack(s, sp);
    if (atomic_load_explicit(&g->wait, memory_order_acquire) != wait || g->sp != sp ||
        machine_of(g))
        s->frames.count = SIZE_MAX; /* it has moved: look again */
    return true;
}

TU__RACY bool sighting_take(struct g *g, uint64_t mark, struct sighting *s)
{
    *s = (struct sighting){.g = g, .fd = -1};
    for (int i = 0; i < LOOKS; i++) {
        if (!look(s, mark))
            return false;
        if (s->frames.count != SIZE_MAX)
            break;
        s->frames.count = 0;
    }
    s->id = g->id;
    struct m *pinned_to = g->pinned_to;
    s->pinned_to = pinned_to ? pinned_to->thread_id : 0;
    s->site = s->serving ? NULL : g->site;
    for (size_t i = 0; i < TU_NAME_SIZE - 1; i++)
        s->name[i] = s->serving ? 0 : g->name[i];
    return true;
}

static const char *wait_name(enum tu__wait why)
{
    switch (why) {
    case TU__WAIT_NONE: break;
    case TU__WAIT_SLEEP: return "sleep";
    case TU__WAIT_CHAN_SEND: return "chan send";
    case TU__WAIT_CHAN_RECV: return "chan receive";
    case TU__WAIT_SELECT: return "select";
    case TU__WAIT_MUTEX: return "mutex";
    case TU__WAIT_WAIT_GROUP: return "wait group";
    case TU__WAIT_CONDITION: return "condition";
    case TU__WAIT_SEMAPHORE: return "semaphore";
    case TU__WAIT_LOOP: return "host's loop";
    case TU__WAIT_GC: return "garbage collection";
    case TU__WAIT_CONTEXT: return "context";
    case TU__WAIT_FOREVER: return "nothing, for ever";
    case TU__WAIT_RLOCK: return "rwmutex (read)";
    case TU__WAIT_WLOCK: return "rwmutex (write)";
    case TU__WAIT_SCOPE: return "scope";
    case TU__WAIT_READ: return "read";
    case TU__WAIT_WRITE: return "write";
    case TU__WAIT_RESOLVE: return "address lookup";
    case TU__WAIT_FILE: return "file";
    case TU__WAIT_CALL: return "blocking call";
    }
    return "waiting";
}

static const char *object_name(enum tu__wait why)
{
    switch (why) {
    case TU__WAIT_CHAN_SEND:
    case TU__WAIT_CHAN_RECV: return "channel";
    case TU__WAIT_MUTEX: return "mutex";
    case TU__WAIT_RLOCK:
    case TU__WAIT_WLOCK: return "rwmutex";
    case TU__WAIT_WAIT_GROUP: return "wait group";
    case TU__WAIT_CONDITION: return "condition";
    case TU__WAIT_SEMAPHORE: return "semaphore";
    case TU__WAIT_SCOPE: return "scope";
    default: return NULL;
    }
}

const char *sighting_state_name(const struct sighting *s)
{
    switch (s->state) {
    case SIGHTING_RUNNING: return s->blocking ? "in a blocking call" : "running";
    case SIGHTING_RUNNABLE: return "runnable";
    case SIGHTING_WAITING: break;
    }
    return wait_name(s->why);
}

void sighting_print_name(const struct sighting *s, struct report *out)
{
    if (s->serving) {
        report_text(out, "a tu_serve handler");
        return;
    }
    report_text(out, "goroutine ");
    report_number(out, s->id);
    if (s->name[0]) {
        report_text(out, " \"");
        report_name(out, s->name, sizeof s->name);
        report_text(out, "\"");
    }
}

void sighting_print_start(const struct sighting *s, struct report *out)
{
    if (!s->site)
        return;
    report_text(out, ": started at ");
    report_text(out, s->site->file);
    report_text(out, ":");
    report_number(out, (uint64_t)s->site->line);
    report_text(out, " (");
    report_text(out, s->site->name);
    report_text(out, ")");
}

static void print_wait(const struct sighting *s, struct report *out)
{
    int64_t now_ns = clock_monotonic_ns();
    report_text(out, ", ");
    report_duration(out, now_ns - s->since_ns);
    if (s->until_ns > 0) {
        report_text(out, ", ");
        report_duration(out, s->until_ns - now_ns);
        report_text(out, " left");
    }
    if (s->fd >= 0) {
        report_text(out, ", descriptor ");
        report_number(out, (uint64_t)s->fd);
    }
    const char *object = object_name(s->why);
    if (object && s->object) {
        report_text(out, ", ");
        report_text(out, object);
        report_text(out, " ");
        report_hex(out, (uintptr_t)s->object);
    }
}

void sighting_print(const struct sighting *s, struct report *out)
{
    sighting_print_name(s, out);
    report_text(out, " [");
    report_text(out, sighting_state_name(s));
    if (s->state == SIGHTING_WAITING)
        print_wait(s, out);
    if (s->state == SIGHTING_RUNNING) {
        report_text(out, " on thread ");
        report_number(out, (uint64_t)s->thread);
    }
    if (s->pinned_to) {
        report_text(out, ", pinned to thread ");
        report_number(out, (uint64_t)s->pinned_to);
    }
    report_text(out, "]");
    sighting_print_start(s, out);
    report_text(out, "\n");
    if (s->entry)
        report_text(out, "    has not run yet\n");
    frames_print(&s->frames, out);
}
