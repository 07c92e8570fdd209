/* crawler.c - fetches linked pages in parallel, each once, with a bounded number of fetchers.
 *
 *     crawler                    crawls the little web of crawler_guests.c, over loopback
 *     crawler ADDRESS PATH       crawls an HTTP server, e.g. 127.0.0.1:8000 /index.html
 *
 * One table holds every path seen, in the order in which they were found; what comes after `next` is
 * still to be fetched. FETCHERS children of a scope take from it and add to it, under a mutex; who finds
 * nothing waits on a condition, because a page that is being fetched may still bring new ones. When
 * nobody fetches and nothing is left, the crawl is over. Each fetch has a deadline of its own, in a
 * context that is current while it runs, so that connecting, writing and reading all honour it.
 */
#include "crawler_guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

enum { FETCHERS = 8, PAGES = 10000, PATH = 200, PAGE_BYTES = 256 * 1024, PATIENCE_MS = 2000 };

struct crawl {
    const char *address; /* of the server */
    struct tu_mutex lock;
    struct tu_condition changed;
    size_t next, count; /* the first one not taken; paths in `path` */
    size_t fetching, pages, broken, late;
    char path[PAGES][PATH];
    uint32_t bucket[2 * PAGES]; /* by hash: 1 + index into `path`, or 0 */
};

/* Puts a path into the table unless it was seen before, or the table is full. The caller holds the lock. */
static void add(struct crawl *c, const char *path, size_t size)
{
    uint32_t hash = 2166136261u, *slot;
    if (size >= PATH || c->count == PAGES)
        return;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619u;
    while (*(slot = &c->bucket[hash++ % (2 * PAGES)])) {
        const char *seen = c->path[*slot - 1];
        if (strncmp(seen, path, size) == 0 && seen[size] == 0)
            return;
    }
    memcpy(c->path[c->count], path, size);
    *slot = (uint32_t)++c->count;
    tu_condition_signal(&c->changed);
}

/* Links to the same server: href="/...". */
static void add_links(struct crawl *c, const char *page)
{
    tu_lock_guard(&c->lock);
    for (const char *link = page; (link = strstr(link, "href=\"")); link++)
        if (link[6] == '/' && link[7] != '/')
            add(c, link + 6, strcspn(link + 6, "\"#"));
}

/* The answer, or as much of it as fits, as a string: its length, or -errno. */
static ssize_t exchange(tu_conn *conn, const char *request, char *page, size_t size)
{
    ssize_t n = tu_write(conn, request, strlen(request));
    size_t have = 0;
    while (n > 0 && have < size - 1 && (n = tu_read(conn, page + have, size - 1 - have)) > 0)
        have += (size_t)n;
    page[have] = 0;
    return n < 0 ? n : (ssize_t)have;
}

/* 0 and the page, -ENOENT if the server says that there is none, or another error. */
static int fetch(const char *address, const char *path, char *page, size_t size)
{
    char request[PATH + 64];
    tu_conn *conn;
    int rc = tu_dial(&conn, address);
    if (rc != 0)
        return rc;
    snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: crawled\r\n\r\n", path);
    ssize_t n = exchange(conn, request, page, size);
    tu_close(conn);
    if (n < 0)
        return (int)n;
    return strncmp(page, "HTTP/1.", 7) == 0 && strncmp(page + 8, " 200", 4) == 0 ? 0 : -ENOENT;
}

static int fetch_in_time(const char *address, const char *path, char *page, size_t size)
{
    int rc = -ENOMEM;
    tu_context *patience = tu_with_timeout(tu_context_current(), PATIENCE_MS * TU_MS);
    if (!patience)
        return rc;
    tu_defer(tu_cancel, patience);
    tu_in_context(patience) {
        rc = fetch(address, path, page, size);
    }
    return rc;
}

/* The next path, or NULL when there will be none. 0, or the context's error. */
static int take(struct crawl *c, const char **path)
{
    tu_lock_guard(&c->lock);
    int rc = 0;
    while (rc == 0 && c->next == c->count && c->fetching > 0)
        rc = tu_condition_wait(&c->changed, &c->lock);
    *path = NULL;
    if (rc == 0 && c->next < c->count) {
        *path = c->path[c->next++];
        c->fetching++;
    }
    return rc;
}

static void finish(struct crawl *c, const char *path, int rc)
{
    tu_lock_guard(&c->lock);
    *(rc == 0 ? &c->pages : rc == -ETIMEDOUT ? &c->late : &c->broken) += 1;
    if (rc != 0)
        printf("%s: %s\n", path, strerror(-rc));
    if (--c->fetching == 0)
        tu_condition_broadcast(&c->changed); /* perhaps the last one: everybody looks */
}

static int fetcher(struct crawl *c)
{
    const char *path;
    int rc;
    char *page = tu_alloc(PAGE_BYTES);
    if (!page)
        return -ENOMEM;
    while ((rc = take(c, &path)) == 0 && path) {
        int got = fetch_in_time(c->address, path, page, PAGE_BYTES);
        if (got == 0)
            add_links(c, page);
        finish(c, path, got);
    }
    tu_free(page);
    return rc;
}

static int crawl(const char *address, const char *path)
{
    int rc = -ENOMEM;
    struct crawl *c = tu_alloc_zeroed(sizeof *c);
    if (!c)
        return rc;
    c->address = address;
    add(c, path, strlen(path));
    tu_scope(s) {
        for (int i = 0; i < FETCHERS; i++)
            tu_scope_go(&s, fetcher, c);
        rc = tu_scope_wait(&s);
    }
    if (rc == 0 && c->pages == 0)
        rc = -ENOENT;
    printf("%zu pages, %zu broken links, %zu too late\n", c->pages, c->broken, c->late);
    tu_free(c);
    return rc;
}

struct arguments {
    const char *address, *path;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    int rc =
        arguments->address ? crawl(arguments->address, arguments->path) : with_little_web(crawl);
    if (rc != 0)
        fprintf(stderr, "crawler: %s\n", strerror(-rc));
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {NULL, NULL, 1};
    if (argc == 3) {
        arguments.address = argv[1];
        arguments.path = argv[2];
    } else if (argc != 1) {
        fprintf(stderr, "usage: crawler [ADDRESS PATH]\n");
        return 2;
    }
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}
