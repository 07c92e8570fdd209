/* barrier.c - membarrier(2), and for kernels that refuse it a page whose protection changes. */
#include "platform/barrier.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int have_membarrier;
static char *fallback_page;

void barrier_init(void)
{
    have_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    if (!have_membarrier)
        fallback_page =
            mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The fallback takes write permission from a present page: the kernel must interrupt every CPU that
 * runs this process to drop the translation, which is a full barrier there. */
void barrier_all_threads(void)
{
    if (have_membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return;
    if (fallback_page && fallback_page != MAP_FAILED) {
        fallback_page[0] = 1;
        mprotect(fallback_page, 4096, PROT_READ);
        mprotect(fallback_page, 4096, PROT_READ | PROT_WRITE);
    }
}
