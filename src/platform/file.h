/* file.h - files and directories with negative errno results. All of these may block the thread for as long as
 * the disk takes; none parks. Calls that a signal interrupts are made again.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <tuco/base.h>

/* open(2), close-on-exec. The descriptor or -errno. */
int file_open(const char *path, int flags, unsigned mode) TU_MUST_CHECK;
void file_close(int fd);
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
