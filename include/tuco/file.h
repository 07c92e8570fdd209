/* file.h - files that park the goroutine instead of the thread.
 *
 * A read that the page cache can answer is answered at once. Everything else goes to the kernel's
 * io_uring where there is one, else to a pool of threads (tu_file_backend tells), and only the calling
 * goroutine waits. From a plain thread these calls simply block it. They are for regular files,
 * directories and block devices; pipes, sockets and terminals are tu_conn_from_fd's.
 *
 * Errors are negative errno values. When the current context ends, a call that has not begun is not
 * made and gives the context's error. One that is under way is cancelled where the kernel can do that,
 * and waited for in any case, because it works on the caller's buffer: if it has happened all the same,
 * its own result is returned. So an error always means "not done", or for a write "not all of it", and a
 * disk that hangs is not cut short. tu_file_close is always made.
 *
 * Several goroutines may use one file at a time. All functions may park, unless they say otherwise.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>
#include <tuco/base.h>

TU_BEGIN_DECLS

/* An open file. */
typedef struct tu_file tu_file;

/* open(2), with O_CLOEXEC added. 0 and *out, or -errno. */
TU_API TU_MUST_CHECK int tu_file_open(tu_file **out, const char *path, int flags, unsigned mode);
/* Takes over an open descriptor: the tu_file owns it on success. Never parks. */
TU_API TU_MUST_CHECK int tu_file_from_fd(tu_file **out, int fd);
TU_API int tu_file_fd(const tu_file *file); /* never parks */
/* Closes and frees, also in a context that has ended. No other call on the file may be under way: that
 * aborts. 0, or -errno of close(2): the file is gone, but bytes written before may be lost (NFS, quota);
 * only tu_file_sync tells for sure. */
TU_API int tu_file_close(tu_file *file);

/* At the file's own position, which moves on. Reads `size` bytes or up to the end of the file: the
 * count, fewer than `size` only at the end or when an error follows that the next read will give; 0 at
 * the end. Writes all: `size`, or -errno (some may have been written). */
TU_API TU_MUST_CHECK ssize_t tu_file_read(tu_file *file, void *buffer, size_t size);
TU_API TU_MUST_CHECK ssize_t tu_file_write(tu_file *file, const void *bytes, size_t size);
/* The same from `offset` (>= 0) on; the position stays. */
TU_API TU_MUST_CHECK ssize_t tu_file_pread(tu_file *file, void *buffer, size_t size,
                                           int64_t offset);
TU_API TU_MUST_CHECK ssize_t tu_file_pwrite(tu_file *file, const void *bytes, size_t size,
                                            int64_t offset);
TU_API TU_MUST_CHECK ssize_t tu_file_preadv(tu_file *file, const struct iovec *vec, int count,
                                            int64_t offset);
TU_API TU_MUST_CHECK ssize_t tu_file_pwritev(tu_file *file, const struct iovec *vec, int count,
                                             int64_t offset);

/* Puts what was written on the disk: with its metadata, or only what reading it back needs. 0 or
 * -errno; after an error nobody can say what of it is there, and trying again proves nothing. */
TU_API TU_MUST_CHECK int tu_file_sync(tu_file *file);
TU_API TU_MUST_CHECK int tu_file_datasync(tu_file *file);
TU_API TU_MUST_CHECK int tu_file_truncate(tu_file *file, int64_t size);
/* Reserves disk space for the range, so that writes there do not fail for want of it; the file grows
 * to hold it. 0 or -errno (-EOPNOTSUPP: the file system cannot). */
TU_API TU_MUST_CHECK int tu_file_allocate(tu_file *file, int64_t offset, int64_t size);

/* What stat(2) says of a file, as far as programs ask for it. */
struct tu_file_info {
    int64_t size;
    int64_t modified_ns;    /* since 1970 */
    uint64_t device, inode; /* together they are the file's identity */
    unsigned mode;          /* st_mode: S_ISREG, S_ISDIR, permissions */
};
/* Of an open file, and of a path, whose links it follows. 0 or -errno. */
TU_API TU_MUST_CHECK int tu_file_stat(tu_file *file, struct tu_file_info *out);
TU_API TU_MUST_CHECK int tu_stat(const char *path, struct tu_file_info *out);

/* ---- by path: 0 or -errno ---- */
/* rename(2): replaces `to` in one step. */
TU_API TU_MUST_CHECK int tu_rename(const char *from, const char *to);
/* unlink(2): takes the name away; who has the file open keeps it. */
TU_API TU_MUST_CHECK int tu_unlink(const char *path);
/* Make a directory (`mode` less the umask) and remove an empty one. */
TU_API TU_MUST_CHECK int tu_mkdir(const char *path, unsigned mode);
TU_API TU_MUST_CHECK int tu_rmdir(const char *path);
/* Makes a rename, unlink or new file in this directory survive a loss of power. */
TU_API TU_MUST_CHECK int tu_sync_directory(const char *path);
/* The names in a directory, in byte order, without "." and "..": *count of them in *names, one block
 * that the caller frees with tu_free. */
TU_API TU_MUST_CHECK int tu_read_directory(const char *path, char ***names, size_t *count);

/* A whole file: *bytes is a block that the caller frees with tu_free, *size bytes and a 0 behind them. */
TU_API TU_MUST_CHECK int tu_read_file(const char *path, char **bytes, size_t *size);
/* Puts `bytes` in the place of the file, whole or not at all, also across a loss of power: a temporary
 * file beside it is written, synced and renamed, and the directory synced. */
TU_API TU_MUST_CHECK int tu_write_file(const char *path, const void *bytes, size_t size,
                                       unsigned mode);

/* "io_uring" or "threads": what serves the calls that must wait. The environment's TUCO_FILES=threads
 * forbids the ring. Never parks. */
TU_API const char *tu_file_backend(void);

TU_END_DECLS
