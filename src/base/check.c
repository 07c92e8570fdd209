/* check.c - the end of a broken invariant. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void (*check_failed_hook)(void);

_Noreturn void check_failed(const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fprintf(stderr, "tuco: %s (%s:%d)\n", text, file, line);
    fflush(stderr);
    void (*hook)(void) = check_failed_hook;
    check_failed_hook = NULL; /* a failure inside the hook must not recurse */
    if (hook)
        hook();
    abort();
}
