/* lin_run.h - one command on its way through the model: what the functions of a family's file work with. */
#pragma once

#include "linearizability/lin_model.h"

struct lin_run {
    struct lin_pool *pool;
    struct lin_state *state;
    const struct lin_command *command;
    const struct slice *observed; /* the reply that a client got, or NULL */
    struct lin_reply *reply;
    uint8_t changed;          /* keys, for their watchers */
    struct lin_items room[4]; /* the values that are open */
    unsigned rooms;
    char text[32][24]; /* numbers that become elements */
    unsigned texts;
};

typedef void (*lin_apply_fn)(struct lin_run *run);

enum lin_order { LIN_ORDERED, LIN_ANY_ORDER, LIN_PAIRS_ANY_ORDER };

/* Words of a form: $s $l $e $h $z $x a key of a string, list, set, hash, sorted set, stream; $a a key of any type;
 * %v a value, %m one of few members, %f a field, %n a small number, %i an entry's id; others stand for themselves. */
struct lin_row {
    const char *form;
    lin_apply_fn apply;
    unsigned weight; /* how often it is drawn, beside others */
    enum lin_order order;
};

struct lin_family {
    const struct lin_row *rows;
    unsigned count;
};
extern const struct lin_family lin_strings_family, lin_lists_family, lin_sets_family,
    lin_hashes_family, lin_zsets_family, lin_streams_family;

/* ---- the command ---- */

struct slice lin_word(const struct lin_run *run, unsigned at);
/* True if there is such a word and it says this. */
bool lin_says(const struct lin_run *run, unsigned at, const char *text);
/* The number of the key that a word names, its place in the state, and whether it is there. */
unsigned lin_key_of(const struct lin_run *run, unsigned at);
const struct lin_value **lin_slot(struct lin_run *run, unsigned at);
bool lin_exists(struct lin_run *run, unsigned at);

/* ---- values of the key that a word names ---- */

/* Empty if the key is missing; NULL, and the error said, if it is of another type. */
struct lin_items *lin_open_as(struct lin_run *run, unsigned at, enum lin_type type);
/* Those that change a key mark it as changed. Putting nothing removes it. */
void lin_put(struct lin_run *run, unsigned at, const struct lin_items *items);
void lin_put_text(struct lin_run *run, unsigned at, struct slice text);
void lin_drop(struct lin_run *run, unsigned at);
/* A result that replaces whatever was there, or nothing, which removes it if it was there. */
void lin_store(struct lin_run *run, unsigned at, const struct lin_items *items);

struct slice lin_number_text(struct lin_run *run, int64_t n);
/* False: not as a string must be written to count as a number ("0", or digits without a zero in front). */
bool lin_number_of(struct slice text, int64_t *n);
int64_t lin_sure_number(struct slice text);

/* ---- replies ---- */

void lin_out(struct lin_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lin_out_integer(struct lin_run *run, int64_t n);
void lin_out_bulk(struct lin_run *run, struct slice text);
void lin_out_array(struct lin_run *run, size_t count);
void lin_out_nil(struct lin_run *run);
void lin_out_no_array(struct lin_run *run);
void lin_out_ok(struct lin_run *run);
void lin_out_items(struct lin_run *run, const struct lin_items *items);
/* The text of a string, or nil. */
void lin_out_string(struct lin_run *run, const struct lin_items *string);
/* The item after the field, or nil. */
void lin_out_field(struct lin_run *run, const struct lin_items *hash, struct slice field);
