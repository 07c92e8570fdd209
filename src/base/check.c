/* check.c - the end of a broken invariant. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void (*check_failed_hook)(void);

_Noreturn void check_failed(const char *file, int line, const char *format, ...)
{
    /* Of this thread: two that fail at the same time both say so. */
    static __thread bool failing;
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fprintf(stderr, "tuco: %s (%s:%d)\n", text, file, line);
    fflush(stderr);
    if (check_failed_hook && !failing) { /* a failure inside the hook must not recurse */
        failing = true;
        check_failed_hook();
    }
    abort();
}
