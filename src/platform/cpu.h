/* cpu.h - what the machine offers, and the pause of a spinning loop. */
#pragma once

/* CPUs this process may use: its affinity mask, and a cgroup's quota rounded up. At least 1. */
unsigned cpu_count(void);

static inline void cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
