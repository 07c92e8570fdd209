/* defer.h - run something when the enclosing block is left.
 *
 *     FILE *f = fopen(path, "r");
 *     tu_defer(fclose, f);
 *
 * tu_defer(function, argument) is a declaration: function(argument) runs when the block that it
 * stands in is left, by its end, return, break, continue or goto, in the reverse order of the
 * defers. The block, not the function: in a loop it runs once a round. The argument is evaluated and
 * kept right here; it is an integer or a pointer. A result is dropped. Nothing runs when the process
 * aborts or exits, or after longjmp.
 */
#pragma once

#include <tuco/base.h>
#include <tuco/go.h>

struct tu__deferred {
    void (*function)(uintptr_t word);
    uintptr_t word;
};

static inline void tu__deferred_run(struct tu__deferred *d)
{
    d->function(d->word);
}

#ifndef __cplusplus
#define tu__defer_word(fn, argument)                    \
    ({                                                  \
        if (0)                                          \
            (void)(fn)(argument); /* type check only */ \
        tu__word(argument);                             \
    })
#else
#define tu__defer_word(fn, argument) \
    ({                               \
        if (0)                       \
            (void)(fn)(argument);    \
        (uintptr_t)(argument);       \
    })
#endif
#define tu__defer_name_(n) tu__deferred_##n
#define tu__defer_name(n)  tu__defer_name_(n)
#define tu_defer(fn, argument)                                 \
    struct tu__deferred tu__defer_name(__COUNTER__)            \
        __attribute__((cleanup(tu__deferred_run), unused)) = { \
            (void (*)(uintptr_t))(void (*)(void))(fn), tu__defer_word(fn, argument)}
