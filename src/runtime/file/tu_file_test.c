/* tu_file_test.c - files, on whichever backend TUCO_FILES names (the build runs it with each): contents,
 * errors, contexts, pressure, and that nobody else waits for a disk. */
#include "runtime/file/file_call.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/offload.h"
#include "support/testing.h"
#include "support/ticker.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tuco.h>
#include <unistd.h>

static atomic_int finished;

static const char *name(char text[96], const char *what)
{
    snprintf(text, 96, "/tmp/tuco_tu_file_test_%d_%s", (int)getpid(), what);
    return text;
}

static tu_file *fresh(const char *path)
{
    tu_file *f = NULL;
    REQUIRE(tu_file_open(&f, path, O_RDWR | O_CREAT | O_TRUNC, 0600) == 0);
    return f;
}

static void until(int value)
{
    for (int i = 0; i < 6000 && atomic_load(&finished) < value; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(&finished), value);
}

static bool on_ring(void)
{
    return strcmp(tu_file_backend(), "io_uring") == 0;
}

/* The environment must be obeyed, or the two runs of this file would be one. */
GO_TEST(file, the_backend_that_was_asked_for)
{
    const char *choice = getenv("TUCO_FILES");
    struct uring probe;
    int rc = uring_init(&probe, 4);
    if (rc == 0)
        uring_destroy(&probe);
    else
        printf("  the kernel has no io_uring for us (%d)\n", rc);
    bool threads = rc < 0 || (choice && strcmp(choice, "threads") == 0);
    CHECK_EQ(strcmp(tu_file_backend(), threads ? "threads" : "io_uring"), 0);
}

static void contents(void)
{
    char path[96], in[64];
    tu_file *f = fresh(name(path, "contents"));
    CHECK_EQ(tu_file_write(f, "hello, ", 7), 7);
    CHECK_EQ(tu_file_write(f, "world", 5), 5);
    CHECK_EQ(tu_file_pread(f, in, sizeof in, 0), 12);
    CHECK(memcmp(in, "hello, world", 12) == 0);
    CHECK_EQ(tu_file_pread(f, in, 5, 7), 5);
    CHECK(memcmp(in, "world", 5) == 0);
    CHECK_EQ(tu_file_pread(f, in, 5, 12), 0);
    CHECK_EQ(tu_file_pwrite(f, "W", 1, 7), 1);
    CHECK_EQ(tu_file_write(f, "!", 1), 1); /* the position had stayed */
    CHECK_EQ(lseek(tu_file_fd(f), 0, SEEK_SET), 0);
    CHECK_EQ(tu_file_read(f, in, 6), 6);
    CHECK_EQ(tu_file_read(f, in, sizeof in), 7);
    CHECK(memcmp(in, " World!", 7) == 0);
    CHECK_EQ(tu_file_read(f, in, sizeof in), 0);
    CHECK_EQ(tu_file_sync(f), 0);
    CHECK_EQ(tu_file_datasync(f), 0);
    CHECK_EQ(tu_file_truncate(f, 5), 0);
    int rc = tu_file_allocate(f, 0, 10000);
    CHECK(rc == 0 || rc == -EOPNOTSUPP);
    struct tu_file_info a, b;
    CHECK_EQ(tu_file_stat(f, &a), 0);
    CHECK_EQ(tu_stat(path, &b), 0);
    CHECK_EQ(a.size, rc == 0 ? 10000 : 5);
    CHECK_EQ(a.inode, b.inode);
    CHECK_EQ(a.modified_ns, b.modified_ns);
    CHECK(S_ISREG(a.mode) && (a.mode & 0777) == 0600);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
    CHECK_EQ(tu_stat(path, &b), -ENOENT);
}

GO_TEST(file, contents)
{
    contents();
}

TEST(file, contents_from_a_plain_thread)
{
    contents(); /* before the runtime is started */
    REQUIRE(tu_start(NULL) == 0);
    contents();
}

/* More pieces than one call takes, empty ones among them, and more bytes than the inline limit. */
GO_TEST(file, vectors)
{
    enum { PIECES = 70, BIG = 1 << 20 };
    char path[96];
    tu_file *f = fresh(name(path, "vectors"));
    char *data = malloc(BIG), *back = calloc(1, BIG);
    for (int i = 0; i < BIG; i++)
        data[i] = (char)(i * 7 % 251);
    struct iovec out[PIECES], in[PIECES];
    size_t at = 0;
    for (int i = 0; i < PIECES; i++) {
        size_t n = i % 5 == 0 ? 0 : i == PIECES - 1 ? BIG - at : (size_t)i * 13;
        out[i] = (struct iovec){data + at, n};
        in[i] = (struct iovec){back + at, n};
        at += n;
    }
    CHECK_EQ(at, BIG);
    CHECK_EQ(tu_file_pwritev(f, out, PIECES, 100), BIG);
    CHECK_EQ(tu_file_preadv(f, in, PIECES, 100), BIG);
    CHECK(memcmp(data, back, BIG) == 0);
    CHECK_EQ(tu_file_preadv(f, in, PIECES, 100 + BIG / 2), BIG / 2);
    CHECK(memcmp(data + BIG / 2, back, BIG / 2) == 0);
    CHECK_EQ(tu_file_preadv(f, in, 1, 100), 0); /* in[0] is empty */
    CHECK_EQ(tu_file_preadv(f, in, 0, 100), 0);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
    free(data);
    free(back);
}

GO_TEST(file, errors)
{
    char path[96], other[96], byte;
    tu_file *f = NULL;
    CHECK_EQ(tu_file_open(&f, "/nowhere/at/all", O_RDONLY, 0), -ENOENT);
    CHECK_EQ(tu_file_open(&f, "/tmp", O_WRONLY, 0), -EISDIR);
    f = fresh(name(path, "errors"));
    CHECK_EQ(tu_file_pread(f, &byte, 1, -1), -EINVAL);
    CHECK_EQ(tu_file_truncate(f, -1), -EINVAL);
    CHECK_EQ(tu_file_allocate(f, 0, 0), -EINVAL);
    CHECK_EQ(tu_file_close(f), 0);
    REQUIRE(tu_file_open(&f, path, O_RDONLY, 0) == 0);
    CHECK_EQ(tu_file_write(f, "x", 1), -EBADF);
    CHECK_EQ(tu_file_close(f), 0);
    REQUIRE(tu_file_open(&f, "/dev/full", O_WRONLY, 0) == 0);
    CHECK_EQ(tu_file_write(f, "x", 1), -ENOSPC);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_file_open(&f, path, O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    CHECK_EQ(tu_rename("/nowhere/at/all", path), -ENOENT);
    CHECK_EQ(tu_rename(path, name(other, "errors2")), 0);
    CHECK_EQ(tu_unlink(path), -ENOENT);
    CHECK_EQ(tu_unlink(other), 0);
    CHECK_EQ(tu_mkdir("/nowhere/at", 0700), -ENOENT);
    CHECK_EQ(tu_rmdir("/nowhere/at"), -ENOENT);
    CHECK_EQ(tu_sync_directory("/nowhere/at"), -ENOENT);
}

GO_TEST(file, directories)
{
    char folder[96], path[128], filler[300] = "", **names = NULL;
    size_t count = 77;
    CHECK_EQ(tu_mkdir(name(folder, "folder"), 0700), 0);
    CHECK_EQ(tu_mkdir(folder, 0700), -EEXIST);
    CHECK_EQ(tu_read_directory(folder, &names, &count), 0);
    CHECK_EQ(count, 0);
    tu_free(names);
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "%s/%03d", folder, i * 7 % 300);
        CHECK_EQ(tu_write_file(path, filler, (size_t)i, 0640), 0);
    }
    CHECK_EQ(tu_sync_directory(folder), 0);
    CHECK_EQ(tu_rmdir(folder), -ENOTEMPTY);
    REQUIRE(tu_read_directory(folder, &names, &count) == 0);
    CHECK_EQ(count, 300);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(strtoul(names[i], NULL, 10), i);
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        CHECK_EQ(tu_unlink(path), 0);
    }
    tu_free(names);
    CHECK_EQ(tu_rmdir(folder), 0);
    CHECK_EQ(tu_read_directory(folder, &names, &count), -ENOENT);
    CHECK_EQ(tu_read_directory("/dev/null", &names, &count), -ENOTDIR);
}

GO_TEST(file, whole_files)
{
    char path[96], *bytes = NULL;
    size_t size = 0, big = 3 << 20;
    char *data = malloc(big);
    memset(data, 'q', big);
    CHECK_EQ(tu_write_file(name(path, "whole"), data, big, 0600), 0);
    REQUIRE(tu_read_file(path, &bytes, &size) == 0);
    CHECK_EQ(size, big);
    CHECK(memcmp(data, bytes, big) == 0);
    CHECK_EQ(bytes[size], 0);
    tu_free(bytes);
    CHECK_EQ(tu_write_file(path, "", 0, 0600), 0);
    REQUIRE(tu_read_file(path, &bytes, &size) == 0);
    CHECK_EQ(size, 0);
    tu_free(bytes);
    REQUIRE(tu_read_file("/proc/self/maps", &bytes, &size) == 0); /* stat says 0 */
    CHECK(size > 4096 || strlen(bytes) == size);
    tu_free(bytes);
    CHECK_EQ(tu_read_file("/tmp", &bytes, &size), -EISDIR);
    CHECK_EQ(tu_read_file("/nowhere", &bytes, &size), -ENOENT);
    CHECK_EQ(tu_unlink(path), 0);
    free(data);
}

/* ---- many at once ---- */

static void worker(tu_file *f, int index, int rounds)
{
    char out[512], in[512];
    for (int i = 0; i < rounds; i++) {
        int64_t offset = (int64_t)index * 512;
        memset(out, index + i, sizeof out);
        CHECK_EQ(tu_file_pwrite(f, out, sizeof out, offset), 512);
        if (i % 8 == 0)
            CHECK_EQ(tu_file_datasync(f), 0);
        CHECK_EQ(tu_file_pread(f, in, sizeof in, offset), 512);
        CHECK(memcmp(in, out, sizeof in) == 0);
    }
    atomic_fetch_add(&finished, 1);
}

/* More calls under way than a ring has entries, and than there are threads. */
GO_TIMEOUT_TEST(file, many_goroutines, 60)
{
    char path[96];
    tu_file *f = fresh(name(path, "many"));
    for (int i = 0; i < 200; i++)
        CHECK_EQ(tu_go(worker, f, i, 20), 0);
    until(200);
    CHECK_EQ(tu__foreign_operations(), 0);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
}

static void appender(tu_file *f, int index)
{
    char record[64];
    memset(record, 'a' + index, sizeof record);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(tu_file_write(f, record, sizeof record), 64);
    atomic_fetch_add(&finished, 1);
}

/* O_APPEND: each record is whole. */
GO_TEST(file, appends_are_whole)
{
    char path[96], *bytes;
    size_t size;
    tu_file *f = NULL;
    REQUIRE(tu_file_open(&f, name(path, "append"), O_WRONLY | O_CREAT | O_APPEND, 0600) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_go(appender, f, i), 0);
    until(20);
    CHECK_EQ(tu_file_close(f), 0);
    REQUIRE(tu_read_file(path, &bytes, &size) == 0);
    CHECK_EQ(size, 20 * 50 * 64);
    for (size_t at = 0; at < size; at += 64)
        for (size_t i = 1; i < 64; i++)
            if (bytes[at + i] != bytes[at]) {
                CHECK(!"a torn record");
                at = size;
                break;
            }
    tu_free(bytes);
    CHECK_EQ(tu_unlink(path), 0);
}

static void spin(int64_t for_ns)
{
    for (int64_t end = tu_now() + for_ns; tu_now() < end;)
        __asm__ volatile("");
    atomic_fetch_add(&finished, 1);
}

/* A hog on each P: the goroutines' completions must get through, and the hogs' Ps with them. */
GO_TEST(file, beside_hogs)
{
    char path[96];
    tu_file *f = fresh(name(path, "hogs"));
    for (unsigned i = 0; i < tu_maxprocs(); i++)
        CHECK_EQ(tu_go(spin, 500 * TU_MS), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_go(worker, f, i, 5), 0);
    until(20 + (int)tu_maxprocs());
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
}

/* ---- contexts ---- */

static atomic_bool gate;

static void until_gate_opens(void *arg)
{
    while (!atomic_load(&gate))
        usleep(1000);
    atomic_fetch_add(&finished, 1);
}

static void occupy(void)
{
    CHECK_EQ(tu__offload_call(LANE_FILE, until_gate_opens, NULL), 0);
}

/* On threads: all of them busy, so that the call is queued when its context ends. */
static int fill_lane(void)
{
    enum { JOBS = 40 };
    for (int i = 0; i < JOBS; i++)
        CHECK_EQ(tu_go(occupy), 0);
    struct tu__offload_stats s;
    do {
        (void)tu_sleep(TU_MS);
        s = tu__offload_stats();
    } while (s.running[LANE_FILE] + s.queued[LANE_FILE] < JOBS);
    return JOBS;
}

/* A read that never ends: of an empty pipe (the ring can be tried with it, the pool cannot cancel). */
GO_TEST(file, a_call_under_way_is_cancelled)
{
    int ends[2], jobs = 0;
    char byte = 0;
    tu_file *f = NULL;
    REQUIRE(pipe(ends) == 0);
    REQUIRE(tu_file_from_fd(&f, ends[0]) == 0);
    if (!on_ring())
        jobs = fill_lane();
    int64_t began = tu_now();
    tu_context *ctx = tu_with_timeout(NULL, 30 * TU_MS);
    tu_in_context(ctx) {
        CHECK_EQ(tu_file_read(f, &byte, 1), -ETIMEDOUT);
        CHECK_EQ(tu_file_read(f, &byte, 1), -ETIMEDOUT);
    }
    CHECK(tu_now() - began >= 30 * TU_MS);
    tu_context_release(ctx);
    atomic_store(&gate, true);
    CHECK_EQ(write(ends[1], "x", 1), 1); /* the cancelled reads have left nothing behind */
    CHECK_EQ(tu_file_read(f, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    until(jobs);
    CHECK_EQ(tu_file_close(f), 0);
    close(ends[1]);
}

GO_TEST(file, in_a_context_that_has_ended)
{
    char path[96], in[8];
    tu_file *f = fresh(name(path, "ended"));
    CHECK_EQ(tu_file_write(f, "abc", 3), 3);
    tu_context *ctx = tu_with_cancel(NULL);
    tu_context_cancel(ctx, -ECANCELED);
    tu_in_context(ctx) {
        tu_file *other = NULL;
        struct tu_file_info info;
        CHECK_EQ(tu_file_pread(f, in, 3, 0), 3); /* cached: needs no wait */
        CHECK_EQ(tu_file_sync(f), -ECANCELED);
        CHECK_EQ(tu_file_truncate(f, 0), -ECANCELED);
        CHECK_EQ(tu_file_stat(f, &info), -ECANCELED);
        CHECK_EQ(tu_file_open(&other, path, O_RDONLY, 0), -ECANCELED);
        CHECK_EQ(tu_unlink(path), -ECANCELED);
        CHECK_EQ(tu_file_close(f), 0); /* always */
    }
    CHECK_EQ(fcntl(tu_file_fd(f = fresh(path)), F_GETFD), FD_CLOEXEC);
    CHECK_EQ(tu_file_close(f), 0);
    tu_context_release(ctx);
    CHECK_EQ(tu_unlink(path), 0);
}

static void churn(tu_file *f, int seed)
{
    char block[4096];
    memset(block, seed, sizeof block);
    for (int i = 0; i < 60; i++) {
        tu_context *ctx = tu_with_timeout(NULL, (seed * 31 + i) % 40 * 10 * TU_US);
        tu_in_context(ctx) {
            ssize_t n = tu_file_pwrite(f, block, sizeof block, (int64_t)seed * 4096);
            CHECK(n == 4096 || n == -ETIMEDOUT);
            int rc = tu_file_datasync(f);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            struct tu_file_info info;
            rc = tu_file_stat(f, &info);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
        }
        tu_context_release(ctx);
    }
    atomic_fetch_add(&finished, 1);
}

/* Contexts that end before, during and after: the frame with the buffer is gone right afterwards. */
GO_TIMEOUT_TEST(file, ends_race_with_completions, 60)
{
    char path[96];
    tu_file *f = fresh(name(path, "churn"));
    for (int i = 0; i < 40; i++)
        CHECK_EQ(tu_go(churn, f, i), 0);
    until(40);
    CHECK_EQ(tu__foreign_operations(), 0);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
}

/* ---- nobody else waits ---- */

static void sync_often(const char *path)
{
    tu_file *f = fresh(path);
    char *block = calloc(1, 1 << 14);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(tu_file_pwrite(f, block, 1 << 14, (int64_t)i << 14), 1 << 14);
        CHECK_EQ(tu_file_sync(f), 0);
    }
    free(block);
    CHECK_EQ(tu_file_close(f), 0);
    CHECK_EQ(tu_unlink(path), 0);
    atomic_fetch_add(&finished, 1);
}

GO_TIMEOUT_TEST(file, others_are_never_stalled, 60)
{
    static char paths[16][96];
    for (int i = 0; i < 16; i++) {
        char part[16];
        snprintf(part, sizeof part, "sync%d", i);
        CHECK_EQ(tu_go(sync_often, name(paths[i], part)), 0);
    }
    CHECK(tick_until(&finished, 16) < 20 * TU_MS);
}

/* ---- misuse ---- */

static void read_one(tu_file *f, char *byte)
{
    CHECK_EQ(tu_file_read(f, byte, 1), 1);
}

static void close_while_reading(void *arg)
{
    int ends[2];
    char byte;
    tu_file *f = NULL;
    REQUIRE(pipe(ends) == 0);
    REQUIRE(tu_file_from_fd(&f, ends[0]) == 0);
    CHECK_EQ(tu_go(read_one, f, &byte), 0);
    (void)tu_sleep(50 * TU_MS);
    (void)tu_file_close(f);
}

TEST(file, closing_under_a_reader_aborts)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stderr);
        (void)tu_main(NULL, close_while_reading, NULL);
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
