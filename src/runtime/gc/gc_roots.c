/* gc_roots.c - memory that is given to the collector as roots, and pins.
 *
 * Both are arrays on the system's heap, sorted by nothing: there are few, and adding is rare. Pins lie in an
 * open-addressed table by address, since there may be many.
 */
#include "runtime/gc/collector.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct range {
    const char *start;
    size_t size;
};

/* A power of two; an empty place has object NULL. */
struct pin {
    const void *object;
    size_t count;
};

static struct {
    struct tu__lock lock;
    struct range *ranges;
    size_t range_count, range_room;
    struct pin *pins;
    size_t pin_count, pin_room;
} roots;

void tu__gc_roots_lock(void)
{
    tu__lock(&roots.lock);
}

void tu__gc_roots_unlock(void)
{
    tu__unlock(&roots.lock);
}

void tu__gc_roots_after_fork(void)
{
    tu__lock_after_fork(&roots.lock);
}

static bool add_range_locked(const void *start, size_t size)
{
    if (roots.range_count == roots.range_room) {
        size_t room = roots.range_room ? 2 * roots.range_room : 16;
        struct range *more = realloc(roots.ranges, room * sizeof *more);
        if (!more)
            return false;
        roots.ranges = more;
        roots.range_room = room;
    }
    roots.ranges[roots.range_count++] = (struct range){start, size};
    return true;
}

int tu_gc_root_add(const void *start, size_t size)
{
    tu__lock(&roots.lock);
    bool ok = add_range_locked(start, size);
    tu__unlock(&roots.lock);
    return ok ? 0 : -ENOMEM;
}

void tu_gc_root_remove(const void *start)
{
    tu__lock(&roots.lock);
    size_t i = 0;
    while (i < roots.range_count && roots.ranges[i].start != start)
        i++;
    tu_check(i < roots.range_count, "tu_gc_root_remove(%p): was not added", start);
    roots.ranges[i] = roots.ranges[--roots.range_count];
    tu__unlock(&roots.lock);
}

/* ---- pins; the lock is held ---- */

static size_t home_of(const void *object)
{
    return (size_t)(((uintptr_t)object >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
           (roots.pin_room - 1);
}

static struct pin *find_pin(const void *object)
{
    size_t i = home_of(object);
    while (roots.pins[i].object && roots.pins[i].object != object)
        i = (i + 1) & (roots.pin_room - 1);
    return &roots.pins[i];
}

static bool room_for_pin(void)
{
    if (roots.pin_count < roots.pin_room / 2)
        return true;
    size_t old_room = roots.pin_room, room = old_room ? 2 * old_room : 16;
    struct pin *old = roots.pins, *pins = calloc(room, sizeof *pins);
    if (!pins)
        return false;
    roots.pins = pins;
    roots.pin_room = room;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].object)
            *find_pin(old[i].object) = old[i];
    free(old);
    return true;
}

int tu_gc_pin(const void *object)
{
    if (!object)
        return 0;
    tu__lock(&roots.lock);
    bool ok = room_for_pin();
    if (ok) {
        struct pin *p = find_pin(object);
        roots.pin_count += p->count == 0;
        p->object = object;
        p->count++;
    }
    tu__unlock(&roots.lock);
    return ok ? 0 : -ENOMEM;
}

/* Takes an entry out and moves those that would not be found any more into the gap. */
static void remove_pin(size_t gap)
{
    size_t mask = roots.pin_room - 1;
    roots.pin_count--;
    for (size_t i = (gap + 1) & mask; roots.pins[i].object; i = (i + 1) & mask) {
        size_t home = home_of(roots.pins[i].object);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            roots.pins[gap] = roots.pins[i];
            gap = i;
        }
    }
    roots.pins[gap] = (struct pin){NULL, 0};
}

void tu_gc_unpin(const void *object)
{
    if (!object)
        return;
    tu__lock(&roots.lock);
    struct pin *p = roots.pin_room ? find_pin(object) : NULL;
    tu_check(p && p->count > 0, "tu_gc_unpin(%p): it is not pinned", object);
    if (--p->count == 0)
        remove_pin((size_t)(p - roots.pins));
    tu__unlock(&roots.lock);
}

void tu__gc_roots_each(void (*visit)(const void *start, size_t size, void *arg), void *arg)
{
    for (size_t i = 0; i < roots.range_count; i++)
        visit(roots.ranges[i].start, roots.ranges[i].size, arg);
    for (size_t i = 0; i < roots.pin_room; i++)
        if (roots.pins[i].object)
            visit(&roots.pins[i].object, sizeof roots.pins[i].object, arg);
}
