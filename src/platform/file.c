/* file.c - see file.h. */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, int flags, unsigned mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

void file_close(int fd)
{
    (void)close(fd); /* on Linux the descriptor is gone whatever it says */
}

ssize_t file_read(int fd, void *buffer, size_t size)
{
    ssize_t n;
    do
        n = read(fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int file_write_all(int fd, const void *bytes, size_t size)
{
    for (const char *p = bytes; size > 0;) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int file_mode(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? (int)(info.st_mode & 0777) : -errno;
}

static void sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    int fd = file_open(slash ? directory : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        (void)fsync(fd);
        file_close(fd);
    }
}

int file_replace(const char *path, const void *bytes, size_t size, unsigned mode)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s-XXXXXX", path) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = file_write_all(fd, bytes, size);
    if (rc == 0 && (fsync(fd) != 0 || fchmod(fd, mode) != 0))
        rc = -errno;
    file_close(fd);
    if (rc == 0 && rename(temporary, path) != 0)
        rc = -errno;
    if (rc == 0)
        sync_directory_of(path);
    else
        (void)unlink(temporary);
    return rc;
}

int file_change_directory(const char *path)
{
    return chdir(path) == 0 ? 0 : -errno;
}

int file_change_group(const char *path, gid_t group)
{
    return chown(path, (uid_t)-1, group) == 0 ? 0 : -errno;
}

int file_pipe(int ends[2])
{
    return pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0 ? 0 : -errno;
}
