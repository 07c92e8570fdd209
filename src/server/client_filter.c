/* client_filter.c - one table of words for both directions of each filter; what is given twice counts
 * as given last, ids add up.
 */
#include "server/client_filter.h"

#include "base/number.h"
#include "server/client.h"
#include "server/reply_errors.h"
#include "server/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <tuco/mem.h>

/* Flags that Redis has at all; others are a mistake. */
#define KNOWN_FLAGS "bcdeirtuxABEIMNOPRSTU"
#define KNOWN_CAPAS "r"

static const struct {
    const char *word;
    enum client_filter_field field;
} words[] = {
    {"USER", FILTER_USER},       {"ADDR", FILTER_ADDR},   {"LADDR", FILTER_LADDR},
    {"NAME", FILTER_NAME},       {"FLAGS", FILTER_FLAGS}, {"LIB-NAME", FILTER_LIB_NAME},
    {"LIB-VER", FILTER_LIB_VER}, {"DB", FILTER_DB},       {"CAPA", FILTER_CAPA},
    {"IP", FILTER_IP},           {"TYPE", FILTER_TYPE},
};

struct parser {
    struct client_filter *filter;
    uint32_t databases;
    char *text; /* room for an error */
};

static int shown(struct slice s)
{
    return s.size < 100 ? (int)s.size : 100;
}

static bool is_word(struct slice s, const char *word)
{
    return slice_equal_nocase(s, slice_of(word));
}

static bool known_letters(struct slice letters, const char *known)
{
    for (size_t i = 0; i < letters.size; i++) {
        if (letters.data[i] == '\0' || !strchr(known, letters.data[i]))
            return false;
    }
    return true;
}

static bool known_type(struct slice type)
{
    static const char *const types[] = {"normal", "master",  "primary",
                                        "slave",  "replica", "pubsub"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (is_word(type, types[i]))
            return true;
    }
    return false;
}

/* NULL, or what is wrong with the value of a field. */
static const char *check_value(struct parser *p, enum client_filter_field field, struct slice value,
                               bool negated)
{
    const char *kind = negated ? "NOT-" : "";
    int64_t db;
    switch (field) {
    case FILTER_USER:
        if (slice_equal(value, SLICE("default")))
            return NULL;
        snprintf(p->text, 256, "ERR No such user '%.*s'", shown(value), value.data);
        return p->text;
    case FILTER_TYPE:
        if (known_type(value))
            return NULL;
        snprintf(p->text, 256, "ERR Unknown client type '%.*s'", shown(value), value.data);
        return p->text;
    case FILTER_FLAGS:
    case FILTER_CAPA:
        if (known_letters(value, field == FILTER_FLAGS ? KNOWN_FLAGS : KNOWN_CAPAS))
            return NULL;
        snprintf(p->text, 256, "ERR Unknown %s found in the %s%s filter: %.*s",
                 field == FILTER_FLAGS ? "flags" : "capa", negated ? kind : "provided",
                 !negated                ? ""
                 : field == FILTER_FLAGS ? "FLAGS"
                                         : "CAPA",
                 shown(value), value.data);
        return p->text;
    case FILTER_DB:
        if (!number_parse_int64(value, &db)) {
            snprintf(p->text, 256, "ERR %sDB is not an integer or out of range", kind);
            return p->text;
        }
        if (db < 0 || db >= p->databases) {
            snprintf(p->text, 256, "ERR %sDB number should be between 0 and %u", kind,
                     p->databases - 1);
            return p->text;
        }
        p->filter->db[negated] = (uint32_t)db;
        return NULL;
    default: return NULL;
    }
}

static bool add_id(struct client_filter_side *side, uint64_t id)
{
    if (side->id_count == side->id_capacity) {
        size_t capacity = side->id_capacity ? side->id_capacity * 2 : 16;
        uint64_t *ids = tu_realloc(side->ids, capacity * sizeof *ids);
        if (!ids)
            return false;
        side->ids = ids;
        side->id_capacity = capacity;
    }
    side->ids[side->id_count++] = id;
    return true;
}

/* Ids from argv[i] on; returns how many words they took, 0 with *error set. */
static size_t parse_ids(struct client_filter_side *side, const struct slice *argv, size_t argc,
                        size_t i, const char **error)
{
    size_t taken = 0;
    int64_t id;
    for (; i < argc && number_parse_int64(argv[i], &id); i++, taken++) {
        if (id < 1) {
            *error = "ERR client-id should be greater than 0";
            return 0;
        }
        if (!add_id(side, (uint64_t)id)) {
            *error = ERR_NO_MEMORY;
            return 0;
        }
    }
    if (taken == 0)
        *error = ERR_SYNTAX;
    return taken;
}

static const char *parse_seconds(struct slice value, const char *name, int64_t *out, char *text)
{
    if (!number_parse_int64(value, out)) {
        snprintf(text, 256, "ERR %s is not an integer or out of range", name);
        return text;
    }
    if (*out <= 0) {
        snprintf(text, 256, "ERR %s should be greater than 0", name);
        return text;
    }
    return NULL;
}

/* One option at argv[i]: the number of words it took, 0 with *error set. */
static size_t parse_option(struct parser *p, const struct slice *argv, size_t argc, size_t i,
                           const char **error)
{
    struct client_filter *f = p->filter;
    struct slice word = argv[i];
    *error = ERR_SYNTAX;
    if (i + 1 >= argc)
        return 0;
    struct slice value = argv[i + 1];
    bool negated = word.size > 4 && slice_equal_nocase((struct slice){word.data, 4}, SLICE("NOT-"));
    if (negated)
        word = (struct slice){word.data + 4, word.size - 4};
    struct client_filter_side *side = negated ? &f->refuse : &f->want;
    if (is_word(word, "ID")) {
        size_t taken = parse_ids(side, argv, argc, i + 1, error);
        return taken ? taken + 1 : 0;
    }
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        if (!is_word(word, words[w].word))
            continue;
        *error = check_value(p, words[w].field, value, negated);
        side->given |= 1u << words[w].field;
        side->text[words[w].field] = value;
        return *error ? 0 : 2;
    }
    if (negated)
        return 0;
    if (is_word(word, "SKIPME")) {
        if (!is_word(value, "yes") && !is_word(value, "no"))
            return 0;
        f->skip_me = is_word(value, "yes");
        return 2;
    }
    if (is_word(word, "MAXAGE"))
        *error = parse_seconds(value, "maxage", &f->max_age_s, p->text);
    else if (is_word(word, "IDLE"))
        *error = parse_seconds(value, "idle", &f->idle_s, p->text);
    return *error ? 0 : 2;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool client_filter_parse(struct client_filter *f, const struct server *server, uint32_t databases,
                         const struct slice *argv, size_t argc, size_t first, char text[256],
                         const char **error)
{
    struct parser p = {f, databases, text};
    for (size_t i = first; i < argc;) {
        size_t taken = parse_option(&p, argv, argc, i, error);
        if (taken == 0)
            return false;
        i += taken;
    }
    if (f->want.id_count > 0)
        qsort(f->want.ids, f->want.id_count, sizeof *f->want.ids, compare_ids);
    if (f->refuse.id_count > 0)
        qsort(f->refuse.ids, f->refuse.id_count, sizeof *f->refuse.ids, compare_ids);
    return true;
}

void client_filter_release(struct client_filter *f)
{
    tu_free(f->want.ids);
    tu_free(f->refuse.ids);
    f->want.ids = f->refuse.ids = NULL;
}

/* ---- matching ---- */

static bool has_id(const struct client_filter_side *side, uint64_t id)
{
    return side->id_count > 0 &&
           bsearch(&id, side->ids, side->id_count, sizeof id, compare_ids) != NULL;
}

static bool has_letters(const char *letters, struct slice wanted)
{
    for (size_t i = 0; i < wanted.size; i++) {
        if (!strchr(letters, wanted.data[i]))
            return false;
    }
    return true;
}

static bool string_is(const char *string, struct slice text)
{
    return slice_equal(string ? slice_of(string) : (struct slice){0}, text);
}

static bool address_is(const struct client *c, bool local, struct slice text)
{
    struct text address = {0};
    client_address(c, local, &address);
    bool same = !address.failed && slice_equal(text_slice(&address), text);
    text_free(&address);
    return same;
}

static bool field_matches(const struct client *c, enum client_filter_field field, struct slice text,
                          uint32_t db)
{
    char buffer[ENDPOINT_TEXT_MAX];
    switch (field) {
    case FILTER_USER: return true; /* there is only the default user, and its name was checked */
    case FILTER_ADDR: return address_is(c, false, text);
    case FILTER_LADDR: return address_is(c, true, text);
    case FILTER_NAME: return string_is(c->name, text);
    case FILTER_FLAGS: client_flag_letters(c, buffer); return has_letters(buffer, text);
    case FILTER_LIB_NAME: return string_is(c->library, text);
    case FILTER_LIB_VER: return string_is(c->library_version, text);
    case FILTER_DB: return client_db(c) == db;
    case FILTER_CAPA: return has_letters(client_flags(c) & CLIENT_CAPA_REDIRECT ? "r" : "", text);
    case FILTER_IP: endpoint_format_ip(&c->peer, buffer); return string_is(buffer, text);
    case FILTER_TYPE: return is_word(text, "normal");
    default: return false;
    }
}

bool client_filter_match(const struct client_filter *f, const struct client *c,
                         const struct client *me, int64_t now_ms)
{
    if (f->skip_me && c == me)
        return false;
    if ((f->want.id_count > 0 && !has_id(&f->want, c->id)) || has_id(&f->refuse, c->id))
        return false;
    if (f->max_age_s > 0 && (now_ms - c->created_ms) / 1000 < f->max_age_s)
        return false;
    if (f->idle_s > 0 && (now_ms - client_load(c->last_ms)) / 1000 < f->idle_s)
        return false;
    for (int i = 0; i < FILTER_FIELDS; i++) {
        if ((f->want.given >> i & 1) && !field_matches(c, i, f->want.text[i], f->db[0]))
            return false;
        if ((f->refuse.given >> i & 1) && field_matches(c, i, f->refuse.text[i], f->db[1]))
            return false;
    }
    return true;
}
