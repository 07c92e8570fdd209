/* file_test.c - replacing a file is whole or not at all, and errors are negative errno values. */
#include "platform/file.h"

#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path(const char *name)
{
    static char text[128];
    snprintf(text, sizeof text, "/tmp/tuco_file_test_%d_%s", (int)getpid(), name);
    return text;
}

TEST(file, replace_keeps_mode_and_whole_contents)
{
    static char big[300000], back[sizeof big + 1];
    memset(big, 'x', sizeof big);
    const char *name = path("replace");
    CHECK_EQ(file_replace(name, "old", 3, 0600), 0);
    CHECK_EQ(file_replace(name, big, sizeof big, 0640), 0);
    int fd = file_open(name, O_RDONLY, 0);
    REQUIRE(fd >= 0);
    CHECK_EQ(file_mode(fd), 0640);
    size_t got = 0;
    for (ssize_t n; (n = file_read(fd, back + got, sizeof back - got)) > 0;)
        got += (size_t)n;
    CHECK_EQ(got, sizeof big);
    CHECK(memcmp(big, back, sizeof big) == 0);
    file_close(fd);
    unlink(name);
}

TEST(file, a_failed_replace_leaves_the_old_file_and_nothing_else)
{
    char folder[160];
    snprintf(folder, sizeof folder, "%s", path("folder"));
    REQUIRE(mkdir(folder, 0700) == 0);
    CHECK_EQ(file_replace(folder, "x", 1, 0600), -EISDIR); /* the rename is what fails */
    struct stat info;
    CHECK(stat(folder, &info) == 0 && S_ISDIR(info.st_mode));
    CHECK_EQ(rmdir(folder), 0);
    CHECK_EQ(file_replace("/nowhere/at/all", "x", 1, 0600), -ENOENT);
}

TEST(file, errors_are_negative)
{
    char byte;
    CHECK_EQ(file_open("/nowhere/at/all", O_RDONLY, 0), -ENOENT);
    CHECK_EQ(file_read(-1, &byte, 1), -EBADF);
    CHECK_EQ(file_write_all(-1, &byte, 1), -EBADF);
    CHECK_EQ(file_mode(-1), -EBADF);
    CHECK_EQ(file_change_directory("/nowhere"), -ENOENT);
    CHECK_EQ(file_change_group("/nowhere", 0), -ENOENT);
}

TEST(file, pipes_do_not_block)
{
    int ends[2];
    char byte;
    REQUIRE(file_pipe(ends) == 0);
    CHECK_EQ(file_read(ends[0], &byte, 1), -EAGAIN);
    CHECK_EQ(file_write_all(ends[1], "!", 1), 0);
    CHECK_EQ(file_read(ends[0], &byte, 1), 1);
    CHECK_EQ(byte, '!');
    file_close(ends[0]);
    file_close(ends[1]);
}
