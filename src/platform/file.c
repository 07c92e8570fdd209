/* file.c - see file.h. */
#include "platform/file.h"

#include <dirent.h>
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

int file_close_checked(int fd)
{
    return close(fd) == 0 || errno == EINTR ? 0 : -errno;
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

static ssize_t pass(ssize_t (*call)(int, const struct iovec *, int, off_t, int), int fd,
                    const struct iovec *vec, int count, int64_t offset, bool nowait)
{
    ssize_t n;
    do
        n = call(fd, vec, count, offset, nowait ? RWF_NOWAIT : 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return nowait && errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

ssize_t file_readv(int fd, const struct iovec *vec, int count, int64_t offset, bool nowait)
{
    return pass(preadv2, fd, vec, count, offset, nowait);
}

ssize_t file_writev(int fd, const struct iovec *vec, int count, int64_t offset, bool nowait)
{
    return pass(pwritev2, fd, vec, count, offset, nowait);
}

int file_sync(int fd, bool data_only)
{
    int rc;
    do
        rc = data_only ? fdatasync(fd) : fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

int file_truncate(int fd, int64_t size)
{
    int rc;
    do
        rc = ftruncate(fd, size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

int file_allocate(int fd, int64_t offset, int64_t size)
{
    int rc;
    do
        rc = fallocate(fd, 0, offset, size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

int file_stat(int fd, const char *path, struct file_info *out)
{
    struct stat s;
    if ((path ? stat(path, &s) : fstat(fd, &s)) < 0)
        return -errno;
    *out = (struct file_info){
        .size = s.st_size,
        .modified_ns = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec,
        .device = s.st_dev,
        .inode = s.st_ino,
        .mode = s.st_mode,
    };
    return 0;
}

int file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : -errno;
}

int file_unlink(const char *path)
{
    return unlink(path) == 0 ? 0 : -errno;
}

int file_mkdir(const char *path, unsigned mode)
{
    return mkdir(path, mode) == 0 ? 0 : -errno;
}

int file_rmdir(const char *path)
{
    return rmdir(path) == 0 ? 0 : -errno;
}

int file_sync_directory(const char *path)
{
    int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    int rc = file_sync(fd, false);
    file_close(fd);
    return rc;
}

int file_list(const char *path, int (*each)(void *arg, const char *name), void *arg)
{
    DIR *directory = opendir(path);
    if (!directory)
        return -errno;
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            rc = -errno; /* 0 at the end */
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = each(arg, entry->d_name);
    }
    closedir(directory);
    return rc;
}
