/* command_table.c - all rows, in one table, found by name.
 *
 * The rows of the families are constant data scattered over files. Before main() they are copied into
 * one array: top-level rows in name order, then the subcommands of each container. The copy is where
 * derived fields live (id = position, full name, categories, first key), and where a row's pointers
 * to its subcommands and its container lead. It depends on nothing but constants, hence a
 * constructor: no test and no tool can forget to call it.
 *
 * Lookup is by an open-addressed table, keyed by the name folded into two words and, for
 * subcommands, by the container. A perfect hash would save a probe but must be generated; this has a
 * load under a third, and a probe compares numbers. Clients choose the names that are looked up, but
 * not those that are in it: a miss ends at the first empty slot.
 *
 * After start the table changes only by command_rename(), before the server takes connections.
 */
#include "server/arguments.h"
#include "server/command.h"
#include "server/commands/families.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MAX = 640,
    SLOTS = 2048,            /* a power of two, above 3 * ROWS_MAX */
    NAMES_MAX = 16384,       /* bytes of full names */
    RENAMED_BYTES_MAX = 4096 /* bytes of names given by rename-command */
};
_Static_assert((SLOTS & (SLOTS - 1)) == 0 && SLOTS > 3 * ROWS_MAX, "lookup table too small");

static struct command rows[ROWS_MAX];
static size_t row_count;  /* subcommands included */
static size_t root_count; /* top-level rows: the first of rows[] */

/* A name folded into numbers: its first and its last eight bytes, which overlap in short names, with
 * the bit set that makes letters small. Up to 16 bytes nothing is lost but what the bit hides. */
struct folded {
    uint64_t first, last;
    uint32_t size, parent; /* parent: 1 + row of the container; 0: top level */
};

/* A name that is looked up and the row it finds. */
struct name {
    struct folded key;
    struct slice text; /* data NULL: the slot is empty */
    uint16_t row;
    bool verify; /* equal numbers do not mean equal names: too long, or not only letters */
};
static struct name slots[SLOTS];

static uint16_t present[ROWS_MAX]; /* top-level rows that can be called, in name order */
static size_t present_count;

static char names[NAMES_MAX];
static size_t names_size;
static char renamed[RENAMED_BYTES_MAX];
static size_t renamed_size;

/* ---- lookup ---- */

static inline uint64_t load(const char *p, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, p, size);
    return word;
}

static inline struct folded fold(struct slice text, uint32_t parent)
{
    const uint64_t small = UINT64_C(0x2020202020202020);
    const char *p = text.data;
    size_t n = text.size;
    struct folded f = {.size = (uint32_t)n, .parent = parent};
    if (n >= 8) {
        f.first = load(p, 8) | small;
        f.last = load(p + n - 8, 8) | small;
    } else if (n >= 4) {
        f.first = (load(p, 4) | load(p + n - 4, 4) << 32) | small;
    } else if (n > 0) {
        f.first = (load(p, 1) | load(p + n / 2, 1) << 8 | load(p + n - 1, 1) << 16) | small;
    }
    return f;
}

static inline uint32_t slot_of(const struct folded *f)
{
    uint64_t h = (f->first ^ (f->last << 1 | f->last >> 63)) + f->size + (uint64_t)f->parent * 31;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((h ^ h >> 29) >> 20) & (SLOTS - 1);
}

static inline bool is_name(const struct name *slot, const struct folded *f, struct slice text)
{
    return slot->key.first == f->first && slot->key.last == f->last && slot->key.size == f->size &&
           slot->key.parent == f->parent && (!slot->verify || slice_equal_nocase(slot->text, text));
}

static inline struct name *find_slot(struct slice text, uint32_t parent)
{
    struct folded f = fold(text, parent);
    uint32_t at = slot_of(&f);
    while (slots[at].text.data != NULL && !is_name(&slots[at], &f, text))
        at = (at + 1) & (SLOTS - 1);
    return &slots[at];
}

static const struct command *find(struct slice text, const struct command *container)
{
    const struct name *slot = find_slot(text, container != NULL ? container->id + 1 : 0);
    return slot->text.data != NULL ? &rows[slot->row] : NULL;
}

const struct command *command_lookup(const struct slice *argv, size_t argc,
                                     const struct command **parent)
{
    if (parent != NULL)
        *parent = NULL;
    if (argc == 0)
        return NULL;
    const struct command *command = find(argv[0], NULL);
    if (command == NULL || command->subcommand_count == 0 || argc == 1)
        return command;
    const struct command *sub = find(argv[1], command);
    if (sub == NULL && parent != NULL)
        *parent = command;
    return sub;
}

const struct command *command_by_name(struct slice name)
{
    const char *bar = memchr(name.data, '|', name.size);
    if (name.size == 0 || bar == NULL)
        return name.size == 0 ? NULL : find(name, NULL);
    size_t head = (size_t)(bar - name.data);
    const struct command *container = find((struct slice){name.data, head}, NULL);
    if (container == NULL || container->subcommand_count == 0)
        return NULL;
    return find((struct slice){bar + 1, name.size - head - 1}, container);
}

bool command_arity_ok(const struct command *command, size_t argc)
{
    int arity = command->arity;
    return arity >= 0 ? argc == (size_t)arity : argc >= (size_t)-arity;
}

unsigned command_id_count(void)
{
    return (unsigned)row_count;
}

const struct command *command_by_id(unsigned id)
{
    return id < row_count ? &rows[id] : NULL;
}

size_t command_count(void)
{
    return present_count;
}

const struct command *command_at(size_t index)
{
    return index < present_count ? &rows[present[index]] : NULL;
}

/* ---- names of bits ---- */

const char *command_flag_name(uint32_t bit)
{
    static const char *const flag_names[] = {
        "write",      "readonly",     "denyoom",           "admin",
        "pubsub",     "noscript",     "blocking",          "loading",
        "stale",      "skip_monitor", "skip_commandlog",   "asking",
        "fast",       "no_auth",      "no_async_loading",  "no_multi",
        "allow_busy", "movablekeys",  "no_mandatory_keys",
    };
    return bit < sizeof(flag_names) / sizeof(flag_names[0]) ? flag_names[bit] : NULL;
}

const char *acl_category_name(unsigned index)
{
    static const char *const category_names[ACL_CATEGORY_COUNT] = {
        "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
        "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
        "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
    };
    return index < ACL_CATEGORY_COUNT ? category_names[index] : NULL;
}

/* ---- building ---- */

static uint32_t categories_of(const struct command *c)
{
    uint32_t bits = c->acl;
    bits |= c->flags & CMD_WRITE ? ACL_WRITE : 0;
    bits |= (c->flags & CMD_READONLY) && !(c->acl & ACL_SCRIPTING) ? ACL_READ : 0;
    bits |= c->flags & CMD_ADMIN ? ACL_ADMIN | ACL_DANGEROUS : 0;
    bits |= c->flags & CMD_PUBSUB ? ACL_PUBSUB : 0;
    bits |= c->flags & CMD_BLOCKING ? ACL_BLOCKING : 0;
    bits |= c->flags & CMD_FAST ? ACL_FAST : ACL_SLOW;
    return bits;
}

/* The oldest description of keys is one range: first, last, step. Several specifications of single
 * keys that follow each other are joined; what does not fit is left out. */
static void set_key_range(struct command *c)
{
    int first = 0, last = 0, step = 0;
    for (size_t i = 0; i < c->key_spec_count; i++) {
        const struct key_spec *spec = &c->keys[i];
        if (spec->begin != KEY_BEGIN_INDEX || spec->find != KEY_FIND_RANGE)
            continue;
        int end = spec->last >= 0 ? spec->begin_index + spec->last : spec->last;
        if (first == 0) {
            first = spec->begin_index;
            last = end;
            step = spec->step;
        } else if (spec->step == 1 && step == 1 && last >= 0 && spec->begin_index == last + 1) {
            last = end;
        }
    }
    c->first_key = first;
    c->last_key = last;
    c->key_step = step;
}

static const char *make_full_name(const struct command *c)
{
    char *start = names + names_size, *out = start;
    size_t need = strlen(c->name) + (c->parent != NULL ? strlen(c->parent->name) : 0) + 2;
    tu_check(names_size + need <= NAMES_MAX, "names of commands exceed %d bytes", NAMES_MAX);
    if (c->parent != NULL) {
        for (const char *p = c->parent->full_name; *p != '\0'; p++)
            *out++ = *p;
        *out++ = '|';
    }
    for (const char *p = c->name; *p != '\0'; p++)
        *out++ = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
    *out++ = '\0';
    names_size += (size_t)(out - start);
    return start;
}

static bool only_letters(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] | 32) < 'a' || (text.data[i] | 32) > 'z')
            return false;
    return true;
}

static void insert_name(struct slice text, size_t row, size_t parent)
{
    struct name *slot = find_slot(text, (uint32_t)parent);
    tu_check(slot->text.data == NULL, "two commands named %s", rows[row].full_name);
    *slot = (struct name){.key = fold(text, (uint32_t)parent), .text = text, .row = (uint16_t)row};
    slot->verify = text.size > 16 || !only_letters(text);
}

static void derive(size_t at, const struct command *parent)
{
    struct command *c = &rows[at];
    c->parent = parent;
    c->id = (uint32_t)at;
    c->full_name = make_full_name(c);
    c->categories = categories_of(c);
    args_derive(c);
    set_key_range(c);
    insert_name(slice_of(c->name), at, parent != NULL ? parent->id + 1 : 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct command *)a)->name, ((const struct command *)b)->name);
}

static size_t append_rows(const struct command *from, size_t count)
{
    size_t at = row_count;
    tu_check(count <= ROWS_MAX - row_count, "more than %d rows of commands", ROWS_MAX);
    if (count > 0)
        memcpy(&rows[at], from, count * sizeof(rows[0]));
    row_count += count;
    qsort(&rows[at], count, sizeof(rows[0]), by_name);
    return at;
}

__attribute__((constructor)) static void build_table(void)
{
#define ADD_FAMILY(name) append_rows(name##_family.rows, name##_family.count);
    COMMAND_FAMILIES(ADD_FAMILY)
#undef ADD_FAMILY
    root_count = row_count;
    qsort(rows, root_count, sizeof(rows[0]), by_name);
    for (size_t i = 0; i < root_count; i++) {
        derive(i, NULL);
        present[present_count++] = (uint16_t)i;
        if (rows[i].subcommand_count == 0)
            continue;
        size_t first = append_rows(rows[i].subcommands, rows[i].subcommand_count);
        rows[i].subcommands = &rows[first];
        for (size_t k = 0; k < rows[i].subcommand_count; k++)
            derive(first + k, &rows[i]);
    }
}

/* ---- rename-command ---- */

/* Open addressing leaves no holes: what follows the removed name is put in anew. */
static void remove_name(struct name *slot)
{
    size_t at = (size_t)(slot - slots);
    slots[at] = (struct name){0};
    for (at = (at + 1) & (SLOTS - 1); slots[at].text.data != NULL; at = (at + 1) & (SLOTS - 1)) {
        struct name moved = slots[at];
        slots[at] = (struct name){0};
        *find_slot(moved.text, moved.key.parent) = moved;
    }
}

int command_rename(struct slice name, struct slice new_name)
{
    struct name *slot = find_slot(name, 0);
    if (slot->text.data == NULL)
        return -ENOENT;
    if (new_name.size > 0 && find_slot(new_name, 0)->text.data != NULL)
        return -EEXIST;
    if (new_name.size > RENAMED_BYTES_MAX - renamed_size)
        return -ENOSPC;
    uint16_t row = slot->row;
    remove_name(slot);
    if (new_name.size > 0) {
        char *copy = memcpy(renamed + renamed_size, new_name.data, new_name.size);
        renamed_size += new_name.size;
        insert_name((struct slice){copy, new_name.size}, row, 0);
        return 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < present_count; i++)
        if (present[i] != row)
            present[kept++] = present[i];
    present_count = kept;
    return 0;
}
