/* client_filter.h - which clients CLIENT LIST and CLIENT KILL mean.
 *
 * Words are borrowed from the command; only the lists of ids are owned. Never parks.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct server;

enum client_filter_field { /* those with a positive and a NOT- form */
                           FILTER_USER,
                           FILTER_ADDR,
                           FILTER_LADDR,
                           FILTER_NAME,
                           FILTER_FLAGS,
                           FILTER_LIB_NAME,
                           FILTER_LIB_VER,
                           FILTER_DB,
                           FILTER_CAPA,
                           FILTER_IP,
                           FILTER_TYPE,
                           FILTER_FIELDS
};

struct client_filter {
    struct client_filter_side {
        uint32_t given; /* set of 1 << client_filter_field */
        struct slice text[FILTER_FIELDS];
        uint64_t *ids; /* sorted; owned */
        size_t id_count, id_capacity;
    } want, refuse;
    uint32_t db[2];    /* of want and refuse */
    int64_t max_age_s; /* 0: not given */
    int64_t idle_s;    /* 0: not given */
    bool skip_me;
};

/* Reads the words from `first` on. False: *error is the text to reply, static or in `text`; the
 * filter still needs client_filter_release. */
bool client_filter_parse(struct client_filter *f, const struct server *server, uint32_t databases,
                         const struct slice *argv, size_t argc, size_t first, char text[256],
                         const char **error) __attribute__((warn_unused_result));
/* Caller holds the registry's lock. `me` is the client that asks. */
bool client_filter_match(const struct client_filter *f, const struct client *c,
                         const struct client *me, int64_t now_ms);
void client_filter_release(struct client_filter *f);
