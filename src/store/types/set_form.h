/* set_form.h - the three forms of a set's value, for the files of this type.
 *
 *     ENCODING_INTSET   integers only, up to set-max-intset-entries     index/intset.h
 *     ENCODING_PACKED   few and short members                           index/packed.h
 *     ENCODING_TABLE    the rest                                        index/element_table.h
 *
 * A set goes down this list; up only where most of its members are taken at once. Members come as text or as integers, and are turned into the other when a form
 * asks. Reading takes an entry; changing takes a struct found, which may be an entry that is being made (db NULL) and
 * gets its name in the table by value_put. Nothing here tells anybody of a change. Under the lock of the key's shard;
 * never parks.
 */
#pragma once

#include "base/number.h"
#include "store/index/element_table.h"
#include "store/index/intset.h"
#include "store/types/value.h"

/* A member. Its text may lie in `digits`: give pointers to it, do not copy it. */
struct set_member {
    struct slice text; /* data NULL: not written yet */
    int64_t integer;
    enum { MEMBER_UNKNOWN, MEMBER_INTEGER, MEMBER_TEXT } kind;
    char digits[NUMBER_INT64_MAX_SIZE];
};

static inline void set_member_of(struct set_member *m, struct slice text)
{
    m->text = text;
    m->kind = MEMBER_UNKNOWN;
}
static inline void set_member_of_integer(struct set_member *m, int64_t integer)
{
    m->text = (struct slice){NULL, 0};
    m->integer = integer;
    m->kind = MEMBER_INTEGER;
}
static inline struct slice set_member_text(struct set_member *m)
{
    if (m->kind == MEMBER_INTEGER && !m->text.data)
        m->text = (struct slice){m->digits, number_format_int64(m->digits, m->integer)};
    return m->text;
}
/* True if it is one: then m->integer. */
static inline bool set_member_is_integer(struct set_member *m)
{
    if (m->kind == MEMBER_UNKNOWN)
        m->kind = m->text.size <= NUMBER_INT64_MAX_SIZE && number_parse_int64(m->text, &m->integer)
                      ? MEMBER_INTEGER
                      : MEMBER_TEXT;
    return m->kind == MEMBER_INTEGER;
}

static inline struct intset entry_intset(const struct entry *e)
{
    struct slice s = entry_string(e);
    return (struct intset){(const unsigned char *)s.data, s.size};
}
static inline const struct element_table *entry_table(const struct entry *e)
{
    return (const struct element_table *)entry_block(e);
}

/* ---- reading ---- */

bool set_form_contains(const struct entry *e, struct set_member *m);

/* All members, in no order; the set must not change meanwhile. */
struct set_walk {
    const struct entry *entry;
    size_t at; /* number or offset of the next */
    struct element_iterator elements;
};
void set_walk_begin(struct set_walk *w, const struct entry *e);
/* The next member, valid until the set changes or *m does; false: that was all. */
bool set_walk_next(struct set_walk *w, struct set_member *m);

/* ---- changing ---- */

/* A new entry for a set of about `count` members of which this is the first: without elements. NULL: out of memory. */
struct entry *set_form_new(struct transaction *tx, struct slice key, struct set_member *first,
                           size_t count);
/* Makes f's set a table if `count` members will not stay in its form. False: out of memory. */
bool set_form_expect(struct transaction *tx, struct found *f, size_t count);
/* The same for a new set that will surely have `count` members, with room for them. */
bool set_form_reserve(struct transaction *tx, struct found *f, size_t count);
/* Adds a member. ELEMENT_NO_MEMORY: the same members as before. */
enum element_added set_form_put(struct transaction *tx, struct found *f, struct set_member *m);
/* Makes f's set an intset if its members are integers, and few; if memory allows. */
void set_form_narrow(struct transaction *tx, struct found *f);
/* Gives what is left of a set the form that a new one would have; if memory allows. */
void set_form_renew(struct transaction *tx, struct found *f);
/* Takes a member out: false if it was not there. */
bool set_form_take(struct found *f, struct set_member *m);
/* Takes out the member a position of a packed or an intset tells. */
void set_form_take_at(struct found *f, size_t at);

void set_form_verify(const struct entry *e);

extern const struct type_ops set_type_ops;
