/* vm.c - the memory calls of Linux.
 *
 * Reservations are PROT_NONE: the strict overcommit mode (vm.overcommit_memory=2) counts private
 * writable mappings even when they are NORESERVE, and would refuse a terabyte. Committing is an
 * mprotect; neighbouring commits merge into one mapping.
 */
#include "platform/vm.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

size_t vm_page_size(void)
{
    static _Atomic size_t known;
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);
    if (size == 0) {
        size = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

static void *map(size_t size, int protection, int flags)
{
    void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *vm_reserve(size_t size)
{
    return map(size, PROT_NONE, MAP_NORESERVE);
}

int vm_commit(void *address, size_t size)
{
    return mprotect(address, size, PROT_READ | PROT_WRITE) == 0 ? 0 : -errno;
}

int vm_decommit(void *address, size_t size)
{
    uintptr_t mask = vm_page_size() - 1;
    uintptr_t from = ((uintptr_t)address + mask) & ~mask;
    uintptr_t to = ((uintptr_t)address + size) & ~mask;
    if (from >= to)
        return -EINVAL;
    return madvise((void *)from, to - from, MADV_DONTNEED) == 0 ? 0 : -errno;
}

void *vm_map(size_t size)
{
    return map(size, PROT_READ | PROT_WRITE, 0);
}

void vm_unmap(void *address, size_t size)
{
    (void)munmap(address, size);
}

void vm_huge_pages(void *address, size_t size, bool wanted)
{
    (void)madvise(address, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void *vm_reserve_stacks(size_t size)
{
    void *p = map(size, PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_STACK);
    if (p)
        vm_huge_pages(p, size, false);
    return p;
}

int vm_guard(void *address, size_t size)
{
    static _Atomic bool refused; /* an old kernel: asked once, then mprotect */
    if (!atomic_load_explicit(&refused, memory_order_relaxed)) {
        if (madvise(address, size, MADV_GUARD_INSTALL) == 0)
            return 0;
        if (errno != EINVAL)
            return -errno;
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    }
    return mprotect(address, size, PROT_NONE) == 0 ? 0 : -errno;
}
