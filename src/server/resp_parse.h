/* resp_parse.h - RESP requests in: an incremental parser that copies nothing.
 *
 * The caller owns a buffer that begins with the command in progress, and calls resp_parse whenever
 * more bytes follow. Arguments are slices into that buffer; quoted inline arguments are unescaped
 * in place, which only ever shortens them. Splitting the input anywhere gives the same commands and
 * the same error, and no byte of a finished part is looked at twice.
 *
 *     resp_parser_init(&p, words, 64);
 *     while ((result = resp_parse(&p, data, size, &limits)) == RESP_COMMAND) {
 *         run(p.argv, p.argc);                     argc may be 0: an empty line, "*0"
 *         data += p.position, size -= p.position;
 *         resp_parser_next(&p, words, 64);
 *     }
 *     RESP_MORE: keep data[0..size) and p. When these bytes move, resp_parser_move.
 *
 * Invariants: position <= size; every slice of argv[0..argc) lies in data[0..position).
 * Never parks. Owner: the goroutine that runs the client.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum resp_result {
    RESP_COMMAND, /* argv[0..argc) is complete and took `position` bytes */
    RESP_MORE,    /* not enough bytes yet */
    RESP_ERROR,   /* `error` says why; the connection cannot be used further */
};

enum {
    RESP_LINE_MAX = 64 * 1024,         /* bytes of an inline command or of a length line */
    RESP_UNAUTHENTICATED_ARGS = 10,    /* what a client may send before AUTH: words, */
    RESP_UNAUTHENTICATED_BULK = 16384, /* and bytes in each */
};

struct resp_limits {
    int64_t bulk_max_bytes; /* proto-max-bulk-len */
    bool authenticated;     /* false: the two limits above count as well */
};

struct resp_parser {
    size_t position;    /* bytes of the command in progress that are dealt with */
    size_t argc;        /* arguments complete */
    size_t capacity;    /* room in argv */
    struct slice *argv; /* the caller's array, or `heap` */
    struct slice *heap; /* owned; NULL until a command outgrows the caller's array */
    int64_t missing;    /* arguments still to come of a multibulk; 0: none is begun */
    int64_t bulk;       /* announced bytes of the argument in progress; -1: not known yet */
    char error[96];     /* after RESP_ERROR: the text behind "-", without line end */
};

/* Starts a parser; `argv` has room for `capacity` slices and is used until they are not enough. */
void resp_parser_init(struct resp_parser *p, struct slice *argv, size_t capacity);
/* After RESP_COMMAND: gets ready for the next one. Frees what the last one needed beyond argv. */
void resp_parser_next(struct resp_parser *p, struct slice *argv, size_t capacity);
/* Frees what the parser owns. */
void resp_parser_release(struct resp_parser *p);

/* Goes on with the command that begins at data[0]. The bytes dealt with before are unchanged and
 * still there. Out of memory for argv: RESP_ERROR. */
enum resp_result resp_parse(struct resp_parser *p, char *data, size_t size,
                            const struct resp_limits *limits);

/* The bytes moved from `from` to `to`: corrects the slices. */
void resp_parser_move(struct resp_parser *p, const char *from, const char *to);
/* After RESP_MORE: stops using the caller's argv, so that it may go. False: out of memory. */
bool resp_parser_detach(struct resp_parser *p);
/* Bytes from the command's start that are known to be needed, at least size + 1 after RESP_MORE.
 * The announcement of a hostile peer: a hint for a buffer's growth, not a size to allocate. */
size_t resp_parser_wanted(const struct resp_parser *p, size_t size);
/* Bytes of memory behind argv. */
size_t resp_parser_memory(const struct resp_parser *p);
