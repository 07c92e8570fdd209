/* vm.c - the memory calls of Linux.
 *
 * Reservations are PROT_NONE: the strict overcommit mode (vm.overcommit_memory=2) counts private
 * writable mappings even when they are NORESERVE, and would refuse a terabyte. Committing is an
 * mprotect; neighbouring commits merge into one mapping.
 */
#include "platform/vm.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
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

static int guard_one(void *address, size_t size)
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

/* One system call for all parts (our own process, Linux 6.13); the bytes done, or -errno. The process is
 * named afresh each time: a descriptor kept across a fork would name the parent. */
static ssize_t advise_parts(const struct iovec *parts, size_t count, int advice)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0)
        return -errno;
    ssize_t done = syscall(SYS_process_madvise, self, parts, count, advice, 0);
    if (done < 0)
        done = -errno;
    (void)close(self);
    return done;
}

int vm_guard(char *first, size_t size, size_t stride, size_t count)
{
    static _Atomic bool refused;
    struct iovec parts[VM_PARTS_MAX];
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct iovec){first + i * stride, size};
    size_t done = 0;
    if (count > 1 && !atomic_load_explicit(&refused, memory_order_relaxed)) {
        ssize_t bytes = advise_parts(parts, count, MADV_GUARD_INSTALL);
        if (bytes < 0)
            atomic_store_explicit(&refused, true, memory_order_relaxed);
        else
            done = (size_t)bytes / size;
    }
    for (; done < count; done++) {
        int rc = guard_one(parts[done].iov_base, size);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void vm_populate(char *first, size_t size, size_t stride, size_t count)
{
    static _Atomic bool refused;
    struct iovec parts[VM_PARTS_MAX];
    if (atomic_load_explicit(&refused, memory_order_relaxed))
        return;
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct iovec){first + i * stride, size};
    if (advise_parts(parts, count, MADV_POPULATE_WRITE) < 0)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
}
