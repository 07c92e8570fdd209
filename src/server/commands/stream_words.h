/* stream_words.h - what the stream commands share: ids in words and in replies, entries in replies.
 *
 * For handlers only. Nothing here parks.
 */
#pragma once

#include "server/commands/handler.h"
#include "store/types/stream.h"
#include "store/types/stream_group.h"

/* "ms-seq", or "ms" alone with this seq; false: no id. `any`: also "-" and "+". *auto_seq (may be NULL: not allowed) tells
 * that the word was "ms-*". */
bool stream_id_parse(struct slice word, bool any, uint64_t missing_seq, struct id *out,
                     bool *auto_seq);
/* The same for a strict id with seq 0; replies the error itself. */
bool stream_id_word(const struct call *call, struct slice word, struct id *out);
/* Both ends of an interval, "(" excluding its own: replies the error itself. */
bool stream_interval_words(const struct call *call, struct slice low_word, struct slice high_word,
                           struct id *low, struct id *high);

enum { STREAM_ID_TEXT = 48 }; /* room for "ms-seq" */
size_t stream_id_format(struct id id, char text[STREAM_ID_TEXT]);
void stream_reply_id(const struct call *call, struct id id);
void stream_reply_entry(const struct call *call, struct stream_entry *e);
/* The entry of this id as one of an array. False: there is none, and nothing was replied. */
bool stream_reply_entry_of(const struct call *call, const struct stream_object *s, struct id id);
/* The array of all entries in between; count 0: no limit. */
void stream_reply_range(const struct call *call, const struct stream_object *s, struct id low,
                        struct id high, uint64_t count, bool backwards);

/* True if argv[at] is this word and `more` words follow. */
bool stream_option(const struct call *call, size_t at, const char *word, size_t more);

/* KEEPREF, DELREF or ACKED. */
bool stream_refs_word(struct slice word, enum stream_refs *refs);
/* Such a word or none, then IDS, a number and as many ids to the end of the command, from argv[at] on: *first is where the ids
 * begin; all of them are sound. False: the error is replied. */
bool stream_ids_words(const struct call *call, size_t at, enum stream_refs *refs, size_t *first);
/* The reply to XDELEX and XACKDEL for an id: 1 it went, 2 it had to stay, -1 it is not there. */
void stream_reply_deleted(const struct call *call, enum store_result result);

#define STREAM_ROW(name, run, words, version, cost) \
    ROW_ON_KEYS(name, run, words, "stream", ACL_STREAM, version, cost)
/* The grammar of stream_refs_word and stream_ids_words. */
#define STREAM_REFS_ARG(version)                                                                \
    ARG_ONEOF("condition", (ARG_OPTIONAL, .since = (version)), ARG_TOKEN("keepref", "KEEPREF"), \
              ARG_TOKEN("delref", "DELREF"), ARG_TOKEN("acked", "ACKED"))
#define STREAM_IDS_ARG \
    ARG_BLOCK("ids", (.token = "IDS"), ARG_INTEGER("numids"), ARG_STRING("id", ARG_MULTIPLE))

/* NOGROUP of a subcommand (key at argv[2], group at argv[3]), and of a command (argv[1], argv[2]). */
void stream_no_group(const struct call *call);
void stream_no_key_or_group(const struct call *call);
/* The consumer, made if needed ("xgroup-createconsumer"), seen now. NULL: out of memory. */
struct stream_consumer *stream_consumer_of(const struct call *call, struct stream_group *group,
                                           struct store_key key, struct slice name);
/* What a group has pending was changed, about which nobody is told but those who save. */
void stream_group_changed(const struct call *call, struct store_key key, uint64_t dirty);
