/* lin_streams.c - streams in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- streams: the last sequence number, then number and value of each entry; all ids are 1-n ---- */

static void out_id(struct lin_run *run, struct slice number)
{
    lin_out(run, "$%zu\r\n1-%.*s\r\n", number.size + 2, (int)number.size, number.data);
}

static void out_entries(struct lin_run *run, const struct lin_items *stream)
{
    lin_out_array(run, stream->count / 2);
    for (unsigned i = 1; i < stream->count; i += 2) {
        lin_out_array(run, 2);
        out_id(run, stream->at[i]);
        lin_out_array(run, 2);
        lin_out_bulk(run, SLICE("f"));
        lin_out_bulk(run, stream->at[i + 1]);
    }
}

static void run_xadd(struct lin_run *run)
{
    struct lin_items *stream = lin_open_as(run, 1, LIN_STREAM);
    if (stream == NULL)
        return;
    if (stream->count == 0) /* 1-* begins with 1-0 */
        lin_items_insert(stream, 0, lin_number_text(run, -1));
    struct slice next = lin_number_text(run, lin_sure_number(stream->at[0]) + 1);
    stream->at[0] = next;
    lin_items_insert(stream, stream->count, next);
    lin_items_insert(stream, stream->count, lin_word(run, 4));
    lin_put(run, 1, stream);
    out_id(run, next);
}

static void run_xlen(struct lin_run *run)
{
    struct lin_items *stream = lin_open_as(run, 1, LIN_STREAM);
    if (stream != NULL)
        lin_out_integer(run, stream->count / 2);
}

static void run_xrange(struct lin_run *run)
{
    struct lin_items *stream = lin_open_as(run, 1, LIN_STREAM);
    if (stream != NULL)
        out_entries(run, stream);
}

static void run_xdel(struct lin_run *run)
{
    struct lin_items *stream = lin_open_as(run, 1, LIN_STREAM);
    if (stream == NULL)
        return;
    int64_t n = 0;
    struct slice id = {lin_word(run, 2).data + 2, lin_word(run, 2).size - 2};
    for (unsigned i = 1; i < stream->count; i += 2) {
        if (slice_equal(stream->at[i], id)) {
            lin_items_remove(stream, i, 2);
            lin_put(run, 1, stream);
            n = 1;
            break;
        }
    }
    lin_out_integer(run, n);
}

static void run_xtrim(struct lin_run *run)
{
    struct lin_items *stream = lin_open_as(run, 1, LIN_STREAM);
    if (stream == NULL)
        return;
    unsigned keep = (unsigned)lin_sure_number(lin_word(run, 3)), entries = stream->count / 2;
    if (entries > keep) {
        lin_items_remove(stream, 1, 2 * (entries - keep));
        lin_put(run, 1, stream);
    }
    lin_out_integer(run, entries > keep ? entries - keep : 0);
}

static void run_xread(struct lin_run *run)
{
    unsigned found = 0;
    for (unsigned i = 2; i < 4; i++) {
        struct lin_items *stream = lin_open_as(run, i, LIN_STREAM);
        if (stream == NULL)
            return;
        /* after 0-0: 1-0 counts */
        found += stream->count > 1;
    }
    if (found == 0) {
        lin_out_no_array(run);
        return;
    }
    lin_out_array(run, found);
    for (unsigned i = 2; i < 4; i++) {
        const struct lin_items *stream = &run->room[i - 2];
        if (stream->count <= 1)
            continue;
        lin_out_array(run, 2);
        lin_out_bulk(run, lin_word(run, i));
        out_entries(run, stream);
    }
}

static const struct lin_row rows[] = {
    {"XADD $x 1-* f %v", run_xadd, 8, LIN_ORDERED},
    {"XLEN $x", run_xlen, 2, LIN_ORDERED},
    {"XRANGE $x - +", run_xrange, 4, LIN_ORDERED},
    {"XDEL $x %i", run_xdel, 3, LIN_ORDERED},
    {"XTRIM $x MAXLEN 3", run_xtrim, 1, LIN_ORDERED},
    {"XREAD STREAMS $x $x 0 0", run_xread, 4, LIN_ORDERED},
};

const struct lin_family lin_streams_family = {rows, sizeof rows / sizeof *rows};
