/* tu_file.c - open files: tuco/file.h's tu_file_*.
 *
 * A read tries RWF_NOWAIT first: what the page cache holds is copied at once, for the price of the
 * system call (docs/decisions/0015 has the numbers). Only when that would wait, or the file system cannot
 * tell, the call is made elsewhere (file_call.h). Large ones go there at once: copying megabytes would
 * keep the P from its other goroutines, too.
 */
#include "base/check.h"
#include "platform/file.h"
#include "runtime/file/file_call.h"

#include <limits.h>
#include <stdatomic.h>
#include <tuco/file.h>
#include <tuco/mem.h>

enum { INLINE_MAX = 256 << 10, WINDOW = 16 };
enum direction { READ, WRITE };

struct tu_file {
    int fd;
    _Atomic uint32_t calls;      /* under way; CLOSED when there will be no more */
    _Atomic bool cannot_tell[2]; /* by direction: RWF_NOWAIT is refused */
};
enum { CLOSED = UINT32_C(1) << 31 };

static void enter(tu_file *f)
{
    uint32_t calls = atomic_fetch_add_explicit(&f->calls, 1, memory_order_relaxed);
    tu_check(calls < CLOSED, "a file is used after tu_file_close");
}

static void leave(tu_file *f)
{
    /* release: pairs with the close's acquire */
    atomic_fetch_sub_explicit(&f->calls, 1, memory_order_release);
}

int tu_file_from_fd(tu_file **out, int fd)
{
    tu_file *f = tu_alloc_zeroed(sizeof *f);
    if (!f)
        return -ENOMEM;
    f->fd = fd;
    *out = f;
    return 0;
}

static int64_t perform_open(struct tu__file_call *c)
{
    return file_open(c->ring.address, (int)c->ring.flags, c->ring.length);
}

static int64_t perform_close(struct tu__file_call *c)
{
    return file_close_checked(c->ring.fd);
}

static int close_fd(int fd)
{
    struct tu__file_call c = {.perform = perform_close, .always = true};
    c.ring.code = URING_CLOSE;
    c.ring.fd = fd;
    int rc = (int)tu__file_do(&c);
    return rc == -EINTR ? 0 : rc; /* on Linux it is closed all the same */
}

int tu_file_open(tu_file **out, const char *path, int flags, unsigned mode)
{
    struct tu__file_call c = {.perform = perform_open};
    c.ring.code = URING_OPEN;
    c.ring.address = path;
    c.ring.flags = (uint32_t)flags;
    c.ring.length = mode;
    int fd = (int)tu__file_do(&c);
    if (fd < 0)
        return fd;
    int rc = tu_file_from_fd(out, fd);
    if (rc < 0)
        (void)close_fd(fd);
    return rc;
}

int tu_file_fd(const tu_file *file)
{
    return file->fd;
}

int tu_file_close(tu_file *f)
{
    /* acquire: what the last call did with the file happened before it is closed */
    uint32_t calls = atomic_fetch_or_explicit(&f->calls, CLOSED, memory_order_acquire);
    tu_check(calls == 0, "tu_file_close while %u calls on the file are under way", calls);
    int fd = f->fd;
    tu_free(f);
    return close_fd(fd);
}

/* ---- reading and writing ---- */

static int64_t perform_read(struct tu__file_call *c)
{
    return file_readv(c->ring.fd, c->ring.address, (int)c->ring.length, c->ring.offset, false);
}

static int64_t perform_write(struct tu__file_call *c)
{
    return file_writev(c->ring.fd, c->ring.address, (int)c->ring.length, c->ring.offset, false);
}

/* One call's worth. */
static int64_t transfer_some(tu_file *f, enum direction direction, const struct iovec *vec,
                             int count, int64_t offset)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += vec[i].iov_len;
    if (size <= INLINE_MAX &&
        !atomic_load_explicit(&f->cannot_tell[direction], memory_order_relaxed)) {
        ssize_t n = direction == READ ? file_readv(f->fd, vec, count, offset, true)
                                      : file_writev(f->fd, vec, count, offset, true);
        if (n >= 0)
            return n;
        if (n == -EOPNOTSUPP)
            atomic_store_explicit(&f->cannot_tell[direction], true, memory_order_relaxed);
    }
    struct tu__file_call c = {.perform = direction == READ ? perform_read : perform_write};
    c.ring.code = direction == READ ? URING_READV : URING_WRITEV;
    c.ring.fd = f->fd;
    c.ring.address = vec;
    c.ring.length = (uint32_t)count;
    c.ring.offset = offset;
    return tu__file_do(&c);
}

/* All of it, in as many calls as it takes: files end, and the kernel moves at most 2 GiB at a time.
 * offset -1: the position. */
static ssize_t transfer(tu_file *f, enum direction direction, const struct iovec *vec, int count,
                        int64_t offset)
{
    struct iovec window[WINDOW];
    size_t total = 0, skip = 0; /* bytes moved; of vec[first] already */
    int first = 0;
    int64_t n = 0;
    enter(f);
    for (;;) {
        while (first < count && skip >= vec[first].iov_len)
            skip -= vec[first++].iov_len;
        if (first >= count)
            break;
        int k = 0;
        for (; k < WINDOW && first + k < count; k++)
            window[k] = vec[first + k];
        window[0].iov_base = (char *)window[0].iov_base + skip;
        window[0].iov_len -= skip;
        n = transfer_some(f, direction, window, k, offset < 0 ? -1 : offset + (int64_t)total);
        if (n == 0 && direction == WRITE)
            n = -EIO; /* no file system does that; it would be for ever */
        if (n <= 0)
            break;
        total += (size_t)n;
        skip += (size_t)n;
    }
    leave(f);
    return n < 0 && (direction == WRITE || total == 0) ? n : (ssize_t)total;
}

static ssize_t transfer_at(tu_file *f, enum direction direction, const struct iovec *vec, int count,
                           int64_t offset)
{
    return offset < 0 ? -EINVAL : transfer(f, direction, vec, count, offset);
}

ssize_t tu_file_read(tu_file *file, void *buffer, size_t size)
{
    return transfer(file, READ, &(struct iovec){buffer, size}, 1, -1);
}

ssize_t tu_file_write(tu_file *file, const void *bytes, size_t size)
{
    return transfer(file, WRITE, &(struct iovec){(void *)(uintptr_t)bytes, size}, 1, -1);
}

ssize_t tu_file_pread(tu_file *file, void *buffer, size_t size, int64_t offset)
{
    return transfer_at(file, READ, &(struct iovec){buffer, size}, 1, offset);
}

ssize_t tu_file_pwrite(tu_file *file, const void *bytes, size_t size, int64_t offset)
{
    return transfer_at(file, WRITE, &(struct iovec){(void *)(uintptr_t)bytes, size}, 1, offset);
}

ssize_t tu_file_preadv(tu_file *file, const struct iovec *vec, int count, int64_t offset)
{
    return transfer_at(file, READ, vec, count, offset);
}

ssize_t tu_file_pwritev(tu_file *file, const struct iovec *vec, int count, int64_t offset)
{
    return transfer_at(file, WRITE, vec, count, offset);
}

/* ---- the rest ---- */

static int64_t perform_sync(struct tu__file_call *c)
{
    return file_sync(c->ring.fd, c->ring.flags != 0);
}

static int64_t perform_truncate(struct tu__file_call *c)
{
    return file_truncate(c->ring.fd, c->ring.size);
}

static int64_t perform_allocate(struct tu__file_call *c)
{
    return file_allocate(c->ring.fd, c->ring.offset, c->ring.size);
}

static int64_t perform_stat(struct tu__file_call *c)
{
    return file_stat(c->ring.fd, c->path, c->out);
}

static int do_on(tu_file *f, struct tu__file_call *c)
{
    enter(f);
    c->ring.fd = f->fd;
    int rc = (int)tu__file_do(c);
    leave(f);
    return rc;
}

int tu_file_sync(tu_file *file)
{
    return do_on(file,
                 &(struct tu__file_call){.perform = perform_sync, .ring = {.code = URING_SYNC}});
}

int tu_file_datasync(tu_file *file)
{
    return do_on(file, &(struct tu__file_call){.perform = perform_sync,
                                               .ring = {.code = URING_SYNC, .flags = 1}});
}

int tu_file_truncate(tu_file *file, int64_t size)
{
    return do_on(file,
                 &(struct tu__file_call){.perform = perform_truncate, .ring = {.size = size}});
}

int tu_file_allocate(tu_file *file, int64_t offset, int64_t size)
{
    return do_on(file, &(struct tu__file_call){
                           .perform = perform_allocate,
                           .ring = {.code = URING_ALLOCATE, .offset = offset, .size = size}});
}

static void give(struct tu_file_info *out, const struct file_info *in)
{
    *out = (struct tu_file_info){in->size, in->modified_ns, in->device, in->inode, in->mode};
}

int tu_file_stat(tu_file *file, struct tu_file_info *out)
{
    struct file_info info;
    int rc = do_on(file, &(struct tu__file_call){.perform = perform_stat, .out = &info});
    if (rc == 0)
        give(out, &info);
    return rc;
}

int tu_stat(const char *path, struct tu_file_info *out)
{
    struct file_info info;
    struct tu__file_call c = {.perform = perform_stat, .path = path, .out = &info};
    int rc = (int)tu__file_do(&c);
    if (rc == 0)
        give(out, &info);
    return rc;
}
