/* barrier.c - membarrier(2), and for kernels that refuse it a page whose protection changes. */
#include "platform/barrier.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Asked for by a page whose protection changes, where membarrier is refused. */
static char *fallback_page;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int membarrier(int command)
{
    return (int)syscall(SYS_membarrier, command, 0, 0);
}

/* On the first use: locks are used before the runtime starts as well. */
static void prepare(void)
{
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
        return;
    fallback_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fallback_page == MAP_FAILED)
        abort(); /* nothing below can report: no memory for one page at the start */
}

/* The fallback takes write permission from a present page: the kernel must interrupt every CPU that
 * runs this process to drop the translation, which is a full barrier there. */
void barrier_all_threads(void)
{
    static pthread_mutex_t page_in_use = PTHREAD_MUTEX_INITIALIZER;
    pthread_once(&once, prepare);
    if (!fallback_page) {
        if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
            abort(); /* it was granted */
        return;
    }
    pthread_mutex_lock(&page_in_use);
    fallback_page[0] = 1;
    mprotect(fallback_page, 4096, PROT_READ);
    mprotect(fallback_page, 4096, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&page_in_use);
}
