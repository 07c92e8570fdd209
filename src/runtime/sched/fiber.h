/* fiber.h - tells the sanitizers about stack switches; nothing in ordinary builds.
 *
 * Every switch is  fiber_leave(from, to, dies); context_switch(...); fiber_arrive(self);  with the
 * leave immediately before the switch. ThreadSanitizer's fibers synchronise on each switch: races
 * between goroutines that share a thread are then not seen, those between threads are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TU__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TU__ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TU__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TU__TSAN 1
#endif
#endif

/* For functions that read what another thread may be writing, and live with it: dumps. Whatever they
 * call inline is covered; what they call out of line needs it as well. */
#define TU__RACY __attribute__((no_sanitize("address"), no_sanitize("thread")))

struct fiber {
#ifdef TU__ASAN
    void *fake_stack;
#endif
#ifdef TU__TSAN
    void *tsan;
#endif
    const void *low; /* the stack's lowest address */
    size_t size;     /* its bytes */
};

#ifdef TU__ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#endif
#ifdef TU__TSAN
void *__tsan_create_fiber(unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

/* A thread's own stack. */
static inline void fiber_init_thread(struct fiber *f, const void *low, size_t size)
{
    f->low = low;
    f->size = size;
#ifdef TU__TSAN
    f->tsan = __tsan_get_current_fiber();
#endif
}

/* A new or reused goroutine stack. */
static inline void fiber_init(struct fiber *f, const void *low, size_t size)
{
    f->low = low;
    f->size = size;
#ifdef TU__ASAN
    f->fake_stack = NULL;
    __asan_unpoison_memory_region(low, size); /* frames of its last life that never returned */
#endif
#ifdef TU__TSAN
    if (!f->tsan)
        f->tsan = __tsan_create_fiber(0);
#endif
}

static inline __attribute__((always_inline)) void fiber_leave(struct fiber *from, struct fiber *to,
                                                              bool dies)
{
#ifdef TU__ASAN
    __sanitizer_start_switch_fiber(dies ? NULL : &from->fake_stack, to->low, to->size);
#endif
#ifdef TU__TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    (void)from, (void)to, (void)dies;
}

static inline __attribute__((always_inline)) void fiber_arrive(struct fiber *self)
{
#ifdef TU__ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
    (void)self;
}
