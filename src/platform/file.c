/* file.c - see file.h. */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read_fd(int fd, void (*add)(void *context, const char *bytes, size_t size), void *context)
{
    char chunk[4096];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n == 0)
            return 0;
        if (n > 0)
            add(context, chunk, (size_t)n);
        else if (errno != EINTR)
            return -errno;
    }
}

int file_read(const char *path, void (*add)(void *context, const char *bytes, size_t size),
              void *context, unsigned *mode)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (mode != NULL && fstat(fd, &info) == 0)
        *mode = info.st_mode & 0777;
    int rc = file_read_fd(fd, add, context);
    (void)close(fd);
    return rc;
}

static int write_synced(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* Makes a rename in the file's directory durable. */
static void sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return;
    slash[slash == directory] = '\0';
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

int file_replace(const char *path, const char *bytes, size_t size, unsigned mode)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s-XXXXXX", path) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = write_synced(fd, bytes, size);
    if (rc == 0 && fchmod(fd, mode) != 0)
        rc = -errno;
    (void)close(fd);
    if (rc == 0 && rename(temporary, path) != 0)
        rc = -errno;
    if (rc != 0)
        (void)unlink(temporary);
    else
        sync_directory_of(path);
    return rc;
}

int file_check_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

int file_enter_directory(const char *path)
{
    return chdir(path) == 0 ? 0 : -errno;
}

int file_set_group(const char *path, const char *group)
{
    struct group found, *result = NULL;
    char buffer[4096];
    int rc = getgrnam_r(group, &found, buffer, sizeof buffer, &result);
    if (rc != 0 || result == NULL)
        return rc != 0 ? -rc : -ENOENT;
    return chown(path, (uid_t)-1, result->gr_gid) == 0 ? 0 : -errno;
}

int limit_descriptors(uint64_t wanted, uint64_t *have)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return 0;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return 0;
    int rc = -errno;
    raised = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    *have = limit.rlim_cur;
    return limit.rlim_cur >= wanted ? 0 : rc;
}
