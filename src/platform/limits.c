/* limits.c - see limits.h. */
#include "platform/limits.h"

#include <errno.h>
#include <sys/resource.h>

int limits_descriptors(uint64_t wanted, uint64_t *have)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return 0;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return 0;
    int rc = -errno;
    raised = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    *have = limit.rlim_cur;
    return limit.rlim_cur >= wanted ? 0 : rc;
}
