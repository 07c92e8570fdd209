/* cmd_zset.h - what the handlers of sorted sets share. For cmd_zset*.c only. */
#pragma once

#include "server/commands/handler.h"
#include "store/types/zset.h"

#define ERR_MIN_MAX "ERR min or max is not a float"

/* A score or weight; false: it is none, nothing is replied. */
bool zset_parse_score(struct slice word, double *out);
/* Opens the set for reading; false: the error has been replied. A missing one is empty. */
bool zset_open_to_read(struct call *call, size_t nth, size_t word, struct zset_view *v);

/* How members are shown: with their scores, and in pairs of their own or flat. The context is a struct reply. */
zset_visit_fn zset_shown(const struct call *call, bool scores);
/* The head of an array of `count` members so shown. */
void zset_reply_head(struct call *call, size_t count, bool scores);

/* Taking members from the first of the call's keys that is there. */
struct zset_pop {
    size_t first;   /* the word of the first key */
    uint64_t count; /* at most */
    bool highest;
    bool
        flat; /* count is 1: the key, the member and its score in one array, else an array of pairs behind the key */
};
/* False: none is there, and nothing was replied. */
bool zset_reply_pop(struct call *call, const struct zset_pop *how);
