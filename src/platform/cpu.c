/* cpu.c - counting CPUs as a container sees them. */
#include "platform/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* cgroup v2: "quota period" or "max period" in cpu.max of our own group. 0: no limit. */
static unsigned cgroup_limit(void)
{
    char quota[32] = "";
    long period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f)
        return 0;
    int fields = fscanf(f, "%31s %ld", quota, &period);
    fclose(f);
    long used = 0;
    if (fields != 2 || period <= 0 || sscanf(quota, "%ld", &used) != 1 || used <= 0)
        return 0;
    return (unsigned)((used + period - 1) / period);
}

unsigned cpu_count(void)
{
    cpu_set_t set;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        count = (unsigned)CPU_COUNT(&set);
    unsigned limit = cgroup_limit();
    return limit > 0 && limit < count ? limit : count;
}
