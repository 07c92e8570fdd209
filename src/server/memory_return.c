/* memory_return.c - see memory_return.h. What still falls is waited for, since pages empty when their last block goes,
 * but not for longer than half a second: that much may be in use again by then.
 */
#include "server/memory_return.h"

enum { LEAST_BYTES = 4 << 20, PATIENCE_MS = 500 };

bool memory_return_due(struct memory_return *m, int64_t used_bytes, int64_t now_ms)
{
    int64_t step = m->last - used_bytes;
    m->last = used_bytes;
    if (used_bytes > m->high)
        m->high = used_bytes;
    int64_t least = m->high / 8 > LEAST_BYTES ? m->high / 8 : LEAST_BYTES;
    if (m->high - used_bytes < least) {
        m->falling_since_ms = 0;
        return false;
    }
    if (m->falling_since_ms == 0)
        m->falling_since_ms = now_ms;
    if (step > least / 64 && now_ms - m->falling_since_ms < PATIENCE_MS)
        return false;
    m->high = used_bytes;
    m->falling_since_ms = 0;
    return true;
}
