/* go.h - goroutines: start the runtime, start a goroutine, yield, sleep.
 *
 * A goroutine is a function on a stack of its own (64 KiB by default) that the runtime runs on one
 * of at most TUCO_MAXPROCS threads at a time. It may move to another thread whenever it calls a
 * function that "may park". It is not interrupted between such calls; one that computes, or sits
 * in a blocking libc call, for more than 10 ms keeps its thread, and the others get another one.
 *
 * fork. A child forked before tu_start is free to do anything. One forked afterwards has the forking
 * thread and no scheduler: it may exec, _exit, and use the heap (tuco/mem.h). tu_start, tu_main and new
 * connections give -ENOTSUP there; to start, wake or make wait a goroutine, to arm a timer, or to return from
 * the function of the goroutine that forked ends the child with a message. A lock, channel or context that another
 * thread used at that moment may stay locked in the child. From a goroutine, fork gives the child the signal
 * mask of the thread that called tu_start (a goroutine's thread blocks signals); posix_spawn does not, it
 * wants POSIX_SPAWN_SETSIGMASK. Descriptors are the parent's: what shall not outlive an exec is close-on-exec,
 * as all of libtuco's are.
 *
 *     static void hello(void *arg) { tu_go(serve, conn, 3); tu_sleep(TU_S); }
 *     int main(void) { return tu_main(NULL, hello, NULL); }
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

/* What SIGQUIT (ctrl-\) does; see tuco/observe.h. */
enum tu_sigquit {
    TU_SIGQUIT_DEFAULT, /* TUCO_SIGQUIT=exit, continue or leave, else: tu_main EXIT, tu_start LEAVE */
    TU_SIGQUIT_EXIT,    /* prints all goroutines and ends the process with status 2 */
    TU_SIGQUIT_CONTINUE, /* prints all goroutines and goes on */
    TU_SIGQUIT_LEAVE,    /* is not touched */
};

struct tu_options {
    unsigned maxprocs; /* goroutines that run at once; 0: TUCO_MAXPROCS, else the CPUs we may use */
    size_t stack_size; /* bytes of a goroutine's stack: 64 KiB (0), 256 KiB or 1 MiB */
    unsigned blocking_calls; /* threads that tu_blocking_call may use at once; 0: 64 */
    enum tu_sigquit sigquit;
};

/* Starts the runtime, runs main_fn(arg) as a goroutine, and returns when it has returned: 0, or
 * -errno if the runtime could not start. Other goroutines may still exist then; the process is
 * expected to exit. Call from a plain thread. */
TU_API int tu_main(const struct tu_options *options, void (*main_fn)(void *arg), void *arg);

/* Starts the runtime beside an existing main: afterwards any thread may tu_go. 0, -EALREADY if it
 * runs already or another thread is starting it, -ENOTSUP in a forked child (above), -EINVAL for a stack size
 * that there is not (it may then be tried again), or another -errno. */
TU_API int tu_start(const struct tu_options *options);

/* Number of goroutines that may run at once (0 before the runtime was started). */
TU_API unsigned tu_maxprocs(void);

/* Number of goroutines that exist, the caller included. */
TU_API size_t tu_goroutines(void);

/* Lets others run: the caller goes to the end of this P's queue. From a plain thread:
 * sched_yield. May park. */
TU_API void tu_yield(void);

/* Parks for at least `duration_ns` nanoseconds (<= 0: a yield). 0, or the current context's error
 * (-ECANCELED, -ETIMEDOUT) as soon as it is cancelled. From a plain thread: sleeps it. */
TU_API int tu_sleep(int64_t duration_ns);

/* Monotonic clock, nanoseconds. Never parks. */
TU_API int64_t tu_now(void);

/* True on a goroutine, false on a plain thread. */
TU_API bool tu_on_goroutine(void);

/* The running goroutine's number (from 1), 0 on a plain thread. */
TU_API uint64_t tu_goroutine_id(void);

/* Where the running goroutine was started; NULL on a plain thread. */
TU_API const struct tu_site *tu_goroutine_site(void);

/* Bytes of a goroutine's name, with the 0 at its end. */
#define TU_NAME_SIZE 32
/* Names the running goroutine, for dumps and reports: the first TU_NAME_SIZE - 1 bytes of `name` are
 * copied; NULL or "" takes the name away. A new goroutine has none, unless tu_go_named gives it one.
 * On a plain thread: nothing. Never parks. */
TU_API void tu_set_name(const char *name);
/* The running goroutine's name, "" if it has none (or on a plain thread). It is the goroutine's own:
 * valid until it is named again, or ends. */
TU_API const char *tu_goroutine_name(void);

/* Between these two the goroutine stays on its thread, and nothing else runs there: for libraries that keep
 * state by thread (thread-locals, OpenSSL's error queue, OpenGL). They nest; the end of the goroutine
 * unpins. Each park then costs two switches of threads (some 10 us), so pin for as short as possible. Never
 * park themselves; nothing on a plain thread. tu_unpin without tu_pin aborts. */
TU_API void tu_pin(void);
TU_API void tu_unpin(void);

/* Says that a call that may block the thread for long follows (fsync, getaddrinfo, a foreign
 * library): the P is handed on at the next look of the monitor instead of after 10 ms. Never
 * needed for correctness. They nest; nothing may park in between (that aborts). */
TU_API void tu_blocking_begin(void);
TU_API void tu_blocking_end(void);

/* Says that the calling goroutine will compute for milliseconds: its P, with all that waits there, goes to another thread
 * at once instead of after 10 ms. The goroutine keeps its thread and gets a P again when it next parks, yields or returns.
 * Costs about 10 us, so it pays from a few hundred on; a hint, never needed for correctness. Never parks; locks may be
 * held. */
TU_API void tu_step_aside(void);

/* Calls fn(arg) on a thread of a pool, with a stack of 8 MiB, and parks meanwhile: for whatever blocks
 * for long, wants more stack than a goroutine has, or keeps state per thread between its calls
 * (cryptography, databases, getaddrinfo). fn runs on a plain thread: no goroutine, no context.
 *   0     fn was called and has returned
 *   < 0   it was not and will not be called: the current context's error, when that ended while the
 *         call waited for a thread, or -EAGAIN (no thread can be started)
 * A call that has begun is waited for, because `arg` is the caller's: let fn have a time limit of its
 * own. At most tu_options.blocking_calls run at once, the others wait for them in order. Waiting takes a
 * thread hop each way, about 10 us. May park; from a plain thread it sleeps. Needs no tu_start. */
TU_API TU_MUST_CHECK int tu_blocking_call(void (*fn)(void *arg), void *arg);

/* Between these two, a park aborts in builds with TU_DEBUG: "nothing parks between check and
 * change" is then checked. They nest; free otherwise. */
TU_API void tu_nopark_begin(void);
TU_API void tu_nopark_end(void);

/* Starts a goroutine that calls entry(words[0..count-1]); the macro below is the door.
 * 0, or -ENOMEM when no stack can be had. */
TU_API int tu_go_words(void (*entry)(void), unsigned count, const uintptr_t *words,
                       const struct tu_site *site);
/* The same, with a name; the door is tu_go_named. */
TU_API int tu__go_words_named(const char *name, void (*entry)(void), unsigned count,
                              const uintptr_t *words, const struct tu_site *site);

TU_END_DECLS

/* tu_go(function, up to 6 arguments): starts a goroutine. The arguments are checked against the
 * function's prototype and copied; each must fit a machine word and be an integer or a pointer
 * (floating-point parameters are not supported: pass a pointer). Returns 0 or -ENOMEM. Before tu_start: aborts.
 *
 * tu_go_named(name, function, up to 6 arguments): the same; the goroutine is called `name` (copied) from
 * the start:  tu_go_named("reader", read_all, conn);  */
#ifndef __cplusplus
#define tu__word(x)                                                                   \
    ({                                                                                \
        __typeof__(1 ? (x) : (x)) tu__x = (x); /* decays arrays, promotes */          \
        _Static_assert(sizeof(tu__x) <= sizeof(uintptr_t) &&                          \
                           !__builtin_types_compatible_p(__typeof__(tu__x), float) && \
                           !__builtin_types_compatible_p(__typeof__(tu__x), double),  \
                       "an argument of tu_go must be an integer or a pointer");       \
        (uintptr_t) tu__x;                                                            \
    })
#define tu__words_0()                                  0
#define tu__words_1(a)                                 tu__word(a)
#define tu__words_2(a, b)                              tu__word(a), tu__word(b)
#define tu__words_3(a, b, c)                           tu__word(a), tu__word(b), tu__word(c)
#define tu__words_4(a, b, c, d)                        tu__words_3(a, b, c), tu__word(d)
#define tu__words_5(a, b, c, d, e)                     tu__words_4(a, b, c, d), tu__word(e)
#define tu__words_6(a, b, c, d, e, f)                  tu__words_5(a, b, c, d, e), tu__word(f)
#define tu__count_(_0, _1, _2, _3, _4, _5, _6, n, ...) n
#define tu__count(...)                                 tu__count_(_, ##__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0)
#define tu__paste_(a, b)                               a##b
#define tu__paste(a, b)                                tu__paste_(a, b)
#define tu_go(fn, ...)                                                                          \
    ({                                                                                          \
        if (0)                                                                                  \
            (void)(fn)(__VA_ARGS__); /* type check only */                                      \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn};                       \
        const uintptr_t tu__w[] = {tu__paste(tu__words_, tu__count(__VA_ARGS__))(__VA_ARGS__)}; \
        tu_go_words((void (*)(void))(fn), tu__count(__VA_ARGS__), tu__w, &tu__site);            \
    })
#define tu_go_named(name, fn, ...)                                                              \
    ({                                                                                          \
        if (0)                                                                                  \
            (void)(fn)(__VA_ARGS__); /* type check only */                                      \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn};                       \
        const uintptr_t tu__w[] = {tu__paste(tu__words_, tu__count(__VA_ARGS__))(__VA_ARGS__)}; \
        tu__go_words_named((name), (void (*)(void))(fn), tu__count(__VA_ARGS__), tu__w,         \
                           &tu__site);                                                          \
    })
#else
template <class F, class... A>
static inline int tu__go(const char *name, const struct tu_site *site, F fn, A... args)
{
    static_assert(sizeof...(A) <= 6, "tu_go takes at most 6 arguments");
    const uintptr_t words[] = {(uintptr_t)args..., 0};
    void (*entry)(void) = (void (*)(void))fn;
    return name ? tu__go_words_named(name, entry, sizeof...(A), words, site)
                : tu_go_words(entry, sizeof...(A), words, site);
}
#define tu_go(fn, ...)                                                    \
    ({                                                                    \
        if (0)                                                            \
            (void)(fn)(__VA_ARGS__);                                      \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn}; \
        tu__go(nullptr, &tu__site, fn, ##__VA_ARGS__);                    \
    })
#define tu_go_named(name, fn, ...)                                        \
    ({                                                                    \
        if (0)                                                            \
            (void)(fn)(__VA_ARGS__);                                      \
        static const struct tu_site tu__site = {__FILE__, __LINE__, #fn}; \
        tu__go((name), &tu__site, fn, ##__VA_ARGS__);                     \
    })
#endif
