/* file_path.c - files by name, and whole files. Each is one call on a pool thread, however many system
 * calls it makes: the ring would make each of those on a kernel thread, too, and come back in between.
 */
#include "base/check.h"
#include "platform/file.h"
#include "runtime/file/file_call.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <tuco/file.h>
#include <tuco/mem.h>

static int do_path(int64_t (*perform)(struct tu__file_call *), const char *path, void *out)
{
    struct tu__file_call c = {.perform = perform, .path = path, .out = out};
    return (int)tu__file_do(&c);
}

static int64_t perform_rename(struct tu__file_call *c)
{
    return file_rename(c->path, c->other_path);
}

static int64_t perform_unlink(struct tu__file_call *c)
{
    return file_unlink(c->path);
}

static int64_t perform_mkdir(struct tu__file_call *c)
{
    return file_mkdir(c->path, *(const unsigned *)c->out);
}

static int64_t perform_rmdir(struct tu__file_call *c)
{
    return file_rmdir(c->path);
}

static int64_t perform_sync_directory(struct tu__file_call *c)
{
    return file_sync_directory(c->path);
}

int tu_rename(const char *from, const char *to)
{
    struct tu__file_call c = {.perform = perform_rename, .path = from, .other_path = to};
    return (int)tu__file_do(&c);
}

int tu_unlink(const char *path)
{
    return do_path(perform_unlink, path, NULL);
}

int tu_mkdir(const char *path, unsigned mode)
{
    return do_path(perform_mkdir, path, &mode);
}

int tu_rmdir(const char *path)
{
    return do_path(perform_rmdir, path, NULL);
}

int tu_sync_directory(const char *path)
{
    return do_path(perform_sync_directory, path, NULL);
}

/* ---- directories ---- */

/* The names one behind the other, with their zeros; then a table of pointers in front of them. */
struct listing {
    char *text;
    size_t used, room, count;
};

static int add_name(void *arg, const char *name)
{
    struct listing *l = arg;
    size_t size = strlen(name) + 1;
    if (l->room - l->used < size) {
        size_t room = l->room * 2 + size;
        char *text = tu_realloc(l->text, room);
        if (!text)
            return -ENOMEM;
        l->text = text;
        l->room = room;
    }
    memcpy(l->text + l->used, name, size);
    l->used += size;
    l->count++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **table_of(const struct listing *l)
{
    size_t head = (l->count + 1) * sizeof(char *);
    char **names = tu_alloc(head + l->used);
    if (!names)
        return NULL;
    char *text = (char *)names + head;
    if (l->used)
        memcpy(text, l->text, l->used);
    for (size_t i = 0; i < l->count; i++, text += strlen(text) + 1)
        names[i] = text;
    names[l->count] = NULL;
    qsort(names, l->count, sizeof *names, compare_names);
    return names;
}

struct directory_out {
    char **names;
    size_t count;
};

static int64_t perform_list(struct tu__file_call *c)
{
    struct directory_out *out = c->out;
    struct listing l = {0};
    int rc = file_list(c->path, add_name, &l);
    if (rc == 0 && !(out->names = table_of(&l)))
        rc = -ENOMEM;
    out->count = l.count;
    tu_free(l.text);
    return rc;
}

int tu_read_directory(const char *path, char ***names, size_t *count)
{
    struct directory_out out = {0};
    int rc = do_path(perform_list, path, &out);
    if (rc == 0) {
        *names = out.names;
        *count = out.count;
    }
    return rc;
}

/* ---- whole files ---- */

struct bytes {
    char *data;
    size_t size, room;
};

/* What is there when it is read counts, not what stat says: /proc says 0, and others append. */
static int read_all(int fd, struct bytes *b)
{
    struct file_info info;
    int rc = file_stat(fd, NULL, &info);
    if (rc < 0)
        return rc;
    b->room = info.size > 0 ? (size_t)info.size + 2 : 4096; /* 1 to see the end, 1 for the 0 */
    b->data = tu_alloc(b->room);
    for (;;) {
        if (!b->data)
            return -ENOMEM;
        ssize_t n = file_read(fd, b->data + b->size, b->room - b->size - 1);
        if (n <= 0)
            return (int)n;
        b->size += (size_t)n;
        if (b->room - b->size > 1)
            continue;
        char *larger = tu_realloc(b->data, b->room + b->room / 2 + 4096);
        if (!larger)
            return -ENOMEM;
        b->data = larger;
        b->room += b->room / 2 + 4096;
    }
}

static int64_t perform_read_file(struct tu__file_call *c)
{
    struct bytes *b = c->out;
    int fd = file_open(c->path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int rc = read_all(fd, b);
    file_close(fd);
    if (rc < 0)
        tu_free(b->data);
    else
        b->data[b->size] = '\0';
    return rc;
}

int tu_read_file(const char *path, char **bytes, size_t *size)
{
    struct bytes b = {0};
    int rc = do_path(perform_read_file, path, &b);
    if (rc == 0) {
        *bytes = b.data;
        *size = b.size;
    }
    return rc;
}

struct replacement {
    const void *bytes;
    size_t size;
    unsigned mode;
};

static int64_t perform_write_file(struct tu__file_call *c)
{
    const struct replacement *r = c->out;
    return file_replace(c->path, r->bytes, r->size, r->mode);
}

int tu_write_file(const char *path, const void *bytes, size_t size, unsigned mode)
{
    struct replacement r = {bytes, size, mode};
    return do_path(perform_write_file, path, &r);
}
