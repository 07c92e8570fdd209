/* failing_calls.h - system calls that fail when a test says so.
 *
 * The linker puts these functions between the program and libc (--wrap, see tests/torture/CMakeLists.txt), so
 * the library under test is the ordinary one. Calls are counted over all names together, from
 * failing_reset. What is injected is what Linux may answer in good faith: a call that
 * could not be made is not made; a short read or a refused one (EAGAIN) on a registered descriptor is followed by
 * the edge that the kernel would then send.
 */
#pragma once

#include <stdbool.h>

enum failing_mode {
    FAILING_NONE, /* only counts */
    FAILING_ONCE, /* the Nth call fails with the first error of its list (memory, descriptors ...) */
    FAILING_FOREVER,  /* the Nth call and every later one of the same name */
    FAILING_HARMLESS, /* the Nth call: EINTR, a short transfer, EAGAIN: nobody may notice */
    FAILING_SOMETIMES /* every Nth call on average, harmless, by a seed */
};

void failing_reset(enum failing_mode mode, unsigned nth, unsigned seed);
unsigned failing_count(void);  /* calls so far */
const char *failing_hit(void); /* the name of the call that failed, or NULL: none yet */
