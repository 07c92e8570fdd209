/* file.h - files and directories with negative errno results. All of these may block the thread for as long as
 * the disk takes; none parks. Calls that a signal interrupts are made again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <tuco/base.h>

/* open(2), close-on-exec. The descriptor or -errno. */
int file_open(const char *path, int flags, unsigned mode) TU_MUST_CHECK;
void file_close(int fd);
int file_close_checked(int fd); /* 0 or -errno; the descriptor is gone either way */
/* Up to `size` bytes: the count, 0 at the end, or -errno. */
ssize_t file_read(int fd, void *buffer, size_t size) TU_MUST_CHECK;
/* All of it: 0 or -errno. */
int file_write_all(int fd, const void *bytes, size_t size) TU_MUST_CHECK;
/* Permission bits of an open file, or -errno. */
int file_mode(int fd);

/* Puts `bytes` in the place of the file at `path`, whole or not at all, also across a loss of power: a
 * temporary file beside it is written, synced and renamed, and the directory synced. 0 or -errno. */
int file_replace(const char *path, const void *bytes, size_t size, unsigned mode) TU_MUST_CHECK;

int file_change_directory(const char *path) TU_MUST_CHECK; /* of the process; 0 or -errno */
int file_change_group(const char *path, gid_t group) TU_MUST_CHECK; /* 0 or -errno */
/* A non-blocking pipe: ends[0] to read, ends[1] to write. 0 or -errno. */
int file_pipe(int ends[2]) TU_MUST_CHECK;

/* One preadv2(2) or pwritev2(2); offset -1: the descriptor's own position. `nowait`: only what needs no
 * waiting, else -EAGAIN; -EOPNOTSUPP where the file system or the kernel cannot tell. */
ssize_t file_readv(int fd, const struct iovec *vec, int count, int64_t offset,
                   bool nowait) TU_MUST_CHECK;
ssize_t file_writev(int fd, const struct iovec *vec, int count, int64_t offset,
                    bool nowait) TU_MUST_CHECK;
int file_sync(int fd, bool data_only) TU_MUST_CHECK;
int file_truncate(int fd, int64_t size) TU_MUST_CHECK;
int file_allocate(int fd, int64_t offset, int64_t size) TU_MUST_CHECK;

struct file_info {
    int64_t size, modified_ns;
    uint64_t device, inode;
    unsigned mode;
};
/* Of an open file when path is NULL. 0 or -errno. */
int file_stat(int fd, const char *path, struct file_info *out) TU_MUST_CHECK;
int file_rename(const char *from, const char *to) TU_MUST_CHECK;
int file_unlink(const char *path) TU_MUST_CHECK;
int file_mkdir(const char *path, unsigned mode) TU_MUST_CHECK;
int file_rmdir(const char *path) TU_MUST_CHECK;
int file_sync_directory(const char *path) TU_MUST_CHECK;
/* Calls each(arg, name) for all but "." and "..", in no order, until it gives something else than 0;
 * that, 0, or -errno. */
int file_list(const char *path, int (*each)(void *arg, const char *name), void *arg) TU_MUST_CHECK;
