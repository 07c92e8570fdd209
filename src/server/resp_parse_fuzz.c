/* resp_parse_fuzz.c - any input, whole and in pieces, gives the same commands and the same error, and
 * no slice leaves the buffer. The first byte chooses the limits, the second the size of the pieces.
 */
#include "server/resp_parse.h"

#include "base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    uint64_t hash; /* of all words, command ends and the error */
    bool failed;
};

static void mix(struct digest *d, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        d->hash = (d->hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
    d->hash = (d->hash ^ 0x1ff) * 0x100000001b3;
}

/* Parses all that is complete; returns the bytes consumed. */
static size_t drain(struct resp_parser *p, char *bytes, size_t size, struct slice *words,
                    const struct resp_limits *limits, struct digest *d)
{
    size_t done = 0;
    for (;;) {
        enum resp_result result = resp_parse(p, bytes + done, size - done, limits);
        tu_check(p->position <= size - done, "position leaves the buffer");
        for (size_t i = 0; i < p->argc; i++) {
            struct slice w = p->argv[i];
            tu_check(w.data >= bytes + done && w.data + w.size <= bytes + done + p->position,
                     "word %zu leaves the command", i);
        }
        if (result == RESP_MORE)
            return done;
        if (result == RESP_ERROR) {
            mix(d, p->error, __builtin_strlen(p->error));
            d->failed = true;
            return done;
        }
        for (size_t i = 0; i < p->argc; i++)
            mix(d, p->argv[i].data, p->argv[i].size);
        mix(d, ";", 1);
        done += p->position;
        resp_parser_next(p, words, 3);
    }
}

static struct digest run(const uint8_t *data, size_t size, size_t piece,
                         const struct resp_limits *limits)
{
    struct digest d = {.hash = 0xcbf29ce484222325};
    struct slice words[3];
    struct resp_parser p;
    char *kept = NULL;
    size_t kept_size = 0;
    resp_parser_init(&p, words, 3);
    for (size_t from = 0; from < size && !d.failed; from += piece) {
        size_t more = size - from < piece ? size - from : piece;
        char *bytes = malloc(kept_size + more);
        if (kept_size > 0)
            memcpy(bytes, kept, kept_size);
        memcpy(bytes + kept_size, data + from, more);
        resp_parser_move(&p, kept, bytes);
        free(kept);
        size_t total = kept_size + more;
        size_t done = drain(&p, bytes, total, words, limits, &d);
        tu_check(resp_parser_detach(&p), "out of memory");
        kept_size = total - done;
        kept = malloc(kept_size + 1);
        memcpy(kept, bytes + done, kept_size);
        resp_parser_move(&p, bytes + done, kept);
        free(bytes);
    }
    free(kept);
    resp_parser_release(&p);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct resp_limits limits = {data[0] & 1 ? 512 : 1 << 20, (data[0] & 2) != 0};
    size_t piece = 1 + data[1] % 64;
    data += 2;
    size -= 2;
    struct digest whole = run(data, size, size ? size : 1, &limits);
    struct digest pieces = run(data, size, piece, &limits);
    struct digest bytes = size < 4096 ? run(data, size, 1, &limits) : whole;
    tu_check(whole.hash == pieces.hash && whole.failed == pieces.failed, "pieces of %zu differ",
             piece);
    tu_check(whole.hash == bytes.hash && whole.failed == bytes.failed, "bytes differ");
    return 0;
}
