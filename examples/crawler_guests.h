/* crawler_guests.h - a little web of linked pages, for crawler.c to crawl. */
#pragma once

/* Serves it on loopback while visit(address, path of the first page) runs; the result of visit, or
 * -errno. It has 200 pages, each linked to from several, two links to nothing, and a page that never
 * comes. May park. */
int with_little_web(int (*visit)(const char *address, const char *path));
