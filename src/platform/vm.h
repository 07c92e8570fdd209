/* vm.h - address space and the memory behind it: reserve, commit, give back, guard.
 *
 * Any thread may call these; none parks, none allocates. Errors are negative errno, or NULL where a
 * pointer is returned. Sizes are bytes. Addresses and sizes given to vm_commit and vm_guard are
 * multiples of vm_page_size(); vm_decommit takes any range and gives back the whole pages in it.
 */
#pragma once

#include <stddef.h>
#include <tuco/base.h>

/* Bytes in a page of the operating system (4096 on x86-64; up to 65536 on aarch64). */
size_t vm_page_size(void);

/* Address space that may not be touched yet and that nobody accounts for. NULL if refused. */
void *vm_reserve(size_t size);

/* Makes part of a reservation readable and writable, zero-filled. 0, or -ENOMEM. */
int vm_commit(void *address, size_t size) TU_MUST_CHECK;

/* Gives the memory behind a range back; the range stays committed and reads as zero again.
 * 0, or -errno: then contents are undefined and the memory is still held. */
int vm_decommit(void *address, size_t size) TU_MUST_CHECK;

/* Readable and writable zero-filled memory of its own, and how to return it (and any reservation).
 * NULL when out of memory. */
void *vm_map(size_t size);
void vm_unmap(void *address, size_t size);

/* Asks for (true) or forbids (false) 2 MiB pages in a range: advice only. */
void vm_huge_pages(void *address, size_t size, bool wanted);

/* Readable, writable, unaccounted space for stacks, without huge pages: each page gets memory when
 * it is touched. NULL if refused. */
void *vm_reserve_stacks(size_t size);

enum { VM_PARTS_MAX = 256 };
/* Makes any access to `count` ranges of `size` bytes fault, of which the first is at `first` and each begins
 * `stride` bytes after the one before. On kernels from 6.13 this costs one system call and no mapping of
 * its own (the number of which is limited: vm.max_map_count); on older ones it does. At most VM_PARTS_MAX
 * ranges. 0, or -errno: some may be guarded. */
int vm_guard(char *first, size_t size, size_t stride, size_t count) TU_MUST_CHECK;

/* Gives such ranges memory now instead of by a fault each. Advice: nothing happens where the kernel refuses. */
void vm_populate(char *first, size_t size, size_t stride, size_t count);
