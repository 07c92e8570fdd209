/* multi.c - a list of copies. */
#include "server/multi.h"

#include "server/client.h"
#include "server/command.h"

#include <string.h>
#include <tuco/mem.h>

void multi_begin(struct client *c)
{
    client_set_flags(c, CLIENT_MULTI, CLIENT_DIRTY_EXEC);
    client_store(c->queued, 0);
}

/* One block: words, hashes, bytes. NULL: out of memory. */
struct queued_command *queued_command_copy(const struct command *row, const struct slice *argv,
                                           size_t argc, const uint64_t *hashes, size_t hash_count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < argc; i++)
        bytes += argv[i].size;
    size_t size =
        sizeof(struct queued_command) + argc * sizeof *argv + hash_count * sizeof *hashes + bytes;
    struct queued_command *queued = tu_alloc(size);
    if (!queued)
        return NULL;
    uint64_t *to_hashes = (uint64_t *)(queued->argv + argc);
    char *to = (char *)(to_hashes + hash_count);
    *queued = (struct queued_command){
        .row = row, .argc = argc, .hash_count = hash_count, .size = size, .hashes = to_hashes};
    if (hash_count > 0)
        memcpy(to_hashes, hashes, hash_count * sizeof *hashes);
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].size > 0)
            memcpy(to, argv[i].data, argv[i].size);
        queued->argv[i] = (struct slice){to, argv[i].size};
        to += argv[i].size;
    }
    return queued;
}

bool multi_queue(struct client *c, const struct command *row, const struct slice *argv, size_t argc,
                 const uint64_t *hashes, size_t hash_count)
{
    struct multi_state *multi = c->multi;
    if (!multi) {
        multi = c->multi = tu_alloc_zeroed(sizeof *multi);
        if (!multi)
            return false;
    }
    struct queued_command *queued = queued_command_copy(row, argv, argc, hashes, hash_count);
    if (!queued)
        return false;
    if (multi->last)
        multi->last->next = queued;
    else
        multi->first = queued;
    multi->last = queued;
    multi->count++;
    multi->flags |= row->flags;
    multi->size += queued->size;
    multi->hash_count += hash_count;
    multi->whole |= row->scope == SCOPE_ALL || row->scope == SCOPE_SELF;
    client_store(c->queued, (int32_t)multi->count);
    return true;
}

struct multi_state *multi_take(struct client *c)
{
    struct multi_state *multi = c->multi;
    c->multi = NULL;
    client_set_flags(c, 0, CLIENT_MULTI | CLIENT_DIRTY_EXEC);
    client_store(c->queued, -1);
    return multi;
}

void multi_free(struct multi_state *multi)
{
    if (!multi)
        return;
    struct queued_command *queued = multi->first;
    while (queued) {
        struct queued_command *next = queued->next;
        tu_free(queued);
        queued = next;
    }
    tu_free(multi);
}

void multi_discard(struct client *c)
{
    multi_free(multi_take(c));
}

size_t multi_memory(const struct multi_state *multi)
{
    return multi ? sizeof *multi + multi->size : 0;
}
