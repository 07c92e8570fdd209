/* entropy.c - getrandom, retried until all of it is there. */
#include "platform/entropy.h"

#include "base/check.h"

#include <errno.h>
#include <sys/random.h>

void entropy_bytes(void *out, size_t size)
{
    char *p = out;
    while (size > 0) {
        ssize_t n = getrandom(p, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        tu_check(n > 0, "getrandom failed with errno %d", errno);
        p += n;
        size -= (size_t)n;
    }
}

void entropy_hex(char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    entropy_bytes(out, size);
    for (size_t i = 0; i < size; i++)
        out[i] = digits[(unsigned char)out[i] & 15];
}

uint64_t entropy_seed(void)
{
    uint64_t seed;
    entropy_bytes(&seed, sizeof seed);
    return seed;
}
