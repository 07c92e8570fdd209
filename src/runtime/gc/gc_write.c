/* gc_write.c - writing pointers into objects. */
#include "runtime/gc/collector.h"

#include <string.h>

void tu__gc_move(const tu_type *type, void *to, const void *from, size_t count)
{
    memmove(to, from, count * type->size);
}

void tu__gc_clear(const tu_type *type, void *at, size_t count)
{
    memset(at, 0, count * type->size);
}
