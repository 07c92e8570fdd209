/* base.h - what every public header of libtuco shares: units, attributes, errors.
 *
 * Time is int64_t nanoseconds everywhere: `50 * TU_MS`. Errors are negative errno values
 * (-ECANCELED, -ETIMEDOUT, -EPIPE ...): libtuco never sets errno, because a goroutine may move to
 * another thread between two lines of C, and errno would then be the old thread's. A programmer's
 * error (unlock of an unlocked mutex, negative wait group) prints what was done wrong and aborts.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Units of time. */
#define TU_NS INT64_C(1)
#define TU_US (INT64_C(1000) * TU_NS)
#define TU_MS (INT64_C(1000) * TU_US)
#define TU_S  (INT64_C(1000) * TU_MS)

/* On functions: the result must be looked at; exported from the shared library. */
#define TU_MUST_CHECK __attribute__((warn_unused_result))
#define TU_API        __attribute__((visibility("default")))

/* Around declarations: C linkage in C++, too, where -Wshadow would call a function that is named as
 * a struct (tu_once) a mistake. */
#ifdef __cplusplus
#define TU_BEGIN_DECLS                                                                       \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wshadow\"") extern "C" \
    {
#define TU_END_DECLS \
    }                \
    _Pragma("GCC diagnostic pop")
#else
#define TU_BEGIN_DECLS
#define TU_END_DECLS
#endif

/* Where something was started or created: a constant of the call site, never freed. */
struct tu_site {
    const char *file; /* __FILE__ */
    int line;         /* __LINE__ */
    const char *name; /* the function started, as the caller wrote it */
};
