/* file.h - files and the process's limits, with negative errno results. These calls block the thread,
 * not the goroutine: for configuration, logs and startup, not for data. Any thread; never parks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls add(context, bytes, size) for the whole content, in pieces. `mode` (may be NULL) gets its
 * permissions. 0 or -errno. */
int file_read(const char *path, void (*add)(void *context, const char *bytes, size_t size),
              void *context, unsigned *mode) __attribute__((warn_unused_result));
/* The same for an open descriptor. */
int file_read_fd(int fd, void (*add)(void *context, const char *bytes, size_t size), void *context)
    __attribute__((warn_unused_result));
/* Puts `bytes` in the place of the file: written beside it, synced, renamed over it, so that at any
 * moment there is either the old or the new content. 0 or -errno; the old file is then untouched. */
int file_replace(const char *path, const char *bytes, size_t size, unsigned mode)
    __attribute__((warn_unused_result));
/* Can it be appended to? It is made if it is not there. 0 or -errno. */
int file_check_append(const char *path) __attribute__((warn_unused_result));
/* Changes the working directory. */
int file_enter_directory(const char *path) __attribute__((warn_unused_result));
/* Gives the file to a group by name; -ENOENT if there is no such group. */
int file_set_group(const char *path, const char *group) __attribute__((warn_unused_result));

/* Raises the limit on open descriptors to at least `wanted`. 0; or -errno, with the limit as high as
 * it can be, which is *have. */
int limit_descriptors(uint64_t wanted, uint64_t *have) __attribute__((warn_unused_result));
