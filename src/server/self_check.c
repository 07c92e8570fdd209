/* self_check.c - see self_check.h. */
#include "server/self_check.h"

#include <tuco/mem.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of a file; false: there is no such file. */
static bool read_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool fine = fgets(out, (int)size, f) != NULL;
    (void)fclose(f);
    if (fine)
        out[strcspn(out, "\n")] = '\0';
    return fine;
}

static bool report(const char *name, bool known, bool fine, const char *advice)
{
    printf("[%s]...%s\n", name, !known ? "skipped" : fine ? "OK" : "WARNING:");
    if (known && !fine)
        printf("%s\n", advice);
    return !known || fine;
}

bool self_check_system(void)
{
    char line[256];
    bool all = true, known;
    known = read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", line,
                      sizeof line);
    all &=
        report("slow-clocksource", known,
               !known || strcmp(line, "tsc") == 0 || strcmp(line, "kvm-clock") == 0 ||
                   strcmp(line, "arch_sys_counter") == 0,
               "The kernel's clock source is a slow one: each look at the clock is a system call.");
    known = read_line("/proc/sys/net/core/somaxconn", line, sizeof line);
    all &= report("backlog", known, !known || atoi(line) >= 511,
                  "net.core.somaxconn is below 511: bursts of new connections may be refused.");
    known = read_line("/proc/sys/vm/overcommit_memory", line, sizeof line);
    all &= report(
        "overcommit", known, !known || line[0] != '2',
        "vm.overcommit_memory is 2: the address space reserved for goroutine stacks counts.");
    known = read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    all &= report("THP", known, !known || strstr(line, "[always]") == NULL,
                  "Transparent huge pages are always on: memory use and latency may jump.");
    return all;
}

bool self_check_memory(size_t megabytes)
{
    static const uint64_t patterns[] = {0, UINT64_MAX, UINT64_C(0x5555555555555555),
                                        UINT64_C(0xaaaaaaaaaaaaaaaa)};
    size_t words = megabytes * (1024 * 1024 / sizeof(uint64_t)), bad = 0;
    volatile uint64_t *memory = tu_alloc(words * sizeof *memory);
    if (memory == NULL) {
        printf("Unable to allocate %zu megabytes\n", megabytes);
        return false;
    }
    for (size_t p = 0; p <= sizeof patterns / sizeof *patterns; p++) {
        bool by_address = p == sizeof patterns / sizeof *patterns;
        for (size_t i = 0; i < words; i++)
            memory[i] = by_address ? i * UINT64_C(0x9e3779b97f4a7c15) : patterns[p];
        for (size_t i = 0; i < words; i++)
            bad += memory[i] != (by_address ? i * UINT64_C(0x9e3779b97f4a7c15) : patterns[p]);
        printf("pass %zu of %zu: %zu errors\n", p + 1, sizeof patterns / sizeof *patterns + 1, bad);
    }
    tu_free((void *)(uintptr_t)memory);
    puts(bad == 0 ? "Your memory passed this test." : "YOUR MEMORY IS BROKEN.");
    return bad == 0;
}
