/* command_info.c - rows as replies.
 *
 * Every map and set is counted before it is written, by the same conditions that write it; optional
 * fields stand in small tables for that reason.
 */
#include "server/command_info.h"

#include "server/arguments.h"
#include "server/reply.h"

#include <stdio.h>

typedef const char *(*bit_name)(unsigned bit);

/* A set of the names of the bits that are set. */
static void reply_bits(struct reply *r, uint32_t bits, const char *prefix, bit_name name)
{
    size_t count = 0;
    for (unsigned bit = 0; bit < 32 && name(bit) != NULL; bit++)
        count += bits >> bit & 1;
    reply_set(r, count);
    for (unsigned bit = 0; bit < 32 && name(bit) != NULL; bit++) {
        if (!(bits >> bit & 1))
            continue;
        char text[40];
        snprintf(text, sizeof(text), "%s%s", prefix, name(bit));
        reply_simple(r, text);
    }
}

static const char *key_flag_name(unsigned bit)
{
    static const char *const names[] = {
        "RO",     "RW",     "OW",      "RM",         "access",        "update",
        "insert", "delete", "not_key", "incomplete", "variable_flags"};
    return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}

static const char *doc_flag_name(unsigned bit)
{
    static const char *const names[] = {"deprecated", "syscmd"};
    return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}

void command_key_flags_reply(struct reply *r, uint32_t flags)
{
    reply_bits(r, flags, "", key_flag_name);
}

static void reply_words(struct reply *r, const char *const *words)
{
    size_t count = 0;
    while (words != NULL && words[count] != NULL)
        count++;
    reply_set(r, count);
    for (size_t i = 0; i < count; i++)
        reply_bulk_string(r, words[i]);
}

/* ---- INFO ---- */

static void field_integer(struct reply *r, const char *name, int64_t value)
{
    reply_bulk_string(r, name);
    reply_integer(r, value);
}

static void field_string(struct reply *r, const char *name, const char *value)
{
    reply_bulk_string(r, name);
    reply_bulk_string(r, value);
}

/* The map {type, spec} begins; the spec has `fields`. */
static void begin_search(struct reply *r, const char *name, const char *type, size_t fields)
{
    reply_bulk_string(r, name);
    reply_map(r, 2);
    field_string(r, "type", type);
    reply_bulk_string(r, "spec");
    reply_map(r, fields);
}

static void reply_key_spec(struct reply *r, const struct key_spec *spec)
{
    reply_map(r, spec->notes != NULL ? 4 : 3);
    if (spec->notes != NULL)
        field_string(r, "notes", spec->notes);
    reply_bulk_string(r, "flags");
    command_key_flags_reply(r, spec->flags);
    if (spec->begin == KEY_BEGIN_INDEX) {
        begin_search(r, "begin_search", "index", 1);
        field_integer(r, "index", spec->begin_index);
    } else if (spec->begin == KEY_BEGIN_KEYWORD) {
        begin_search(r, "begin_search", "keyword", 2);
        field_string(r, "keyword", spec->begin_keyword);
        field_integer(r, "startfrom", spec->begin_index);
    } else {
        begin_search(r, "begin_search", "unknown", 0);
    }
    if (spec->find == KEY_FIND_RANGE) {
        begin_search(r, "find_keys", "range", 3);
        field_integer(r, "lastkey", spec->last);
        field_integer(r, "keystep", spec->step);
        field_integer(r, "limit", spec->limit);
    } else if (spec->find == KEY_FIND_KEYNUM) {
        begin_search(r, "find_keys", "keynum", 3);
        field_integer(r, "keynumidx", spec->keynum_index);
        field_integer(r, "firstkey", spec->first_key);
        field_integer(r, "keystep", spec->keynum_step);
    } else {
        begin_search(r, "find_keys", "unknown", 0);
    }
}

void command_info_reply(struct reply *r, const struct command *c)
{
    reply_array(r, 10);
    reply_bulk_string(r, c->full_name);
    reply_integer(r, c->arity);
    reply_bits(r, c->flags, "", command_flag_name);
    reply_integer(r, c->first_key);
    reply_integer(r, c->last_key);
    reply_integer(r, c->key_step);
    reply_bits(r, c->categories, "@", acl_category_name);
    reply_words(r, c->tips);
    reply_set(r, c->key_spec_count);
    for (size_t i = 0; i < c->key_spec_count; i++)
        reply_key_spec(r, &c->keys[i]);
    reply_array(r, c->subcommand_count);
    for (size_t i = 0; i < c->subcommand_count; i++)
        command_info_reply(r, &c->subcommands[i]);
}

/* ---- DOCS ---- */

struct text_field {
    const char *name, *value; /* value NULL: left out */
};

static size_t count_fields(const struct text_field *fields, size_t count)
{
    size_t present = 0;
    for (size_t i = 0; i < count; i++)
        present += fields[i].value != NULL;
    return present;
}

static void reply_fields(struct reply *r, const struct text_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].value != NULL)
            field_string(r, fields[i].name, fields[i].value);
}

static void reply_arg_flags(struct reply *r, const struct arg *arg)
{
    reply_set(r, (size_t)arg->optional + arg->multiple + arg->multiple_token);
    if (arg->optional)
        reply_simple(r, "optional");
    if (arg->multiple)
        reply_simple(r, "multiple");
    if (arg->multiple_token)
        reply_simple(r, "multiple_token");
}

static void reply_args(struct reply *r, const struct arg *args, size_t count);

static void reply_arg(struct reply *r, const struct arg *arg)
{
    bool parent = arg->type == ARG_TYPE_ONEOF || arg->type == ARG_TYPE_BLOCK;
    bool flags = arg->optional || arg->multiple || arg->multiple_token;
    const char *display = arg->display != NULL ? arg->display : parent ? NULL : arg->name;
    const struct text_field fields[] = {
        {"token", arg->token},
        {"summary", arg->summary},
        {"since", arg->since},
        {"deprecated_since", arg->deprecated_since},
    };
    size_t texts = count_fields(fields, ARG_COUNT(fields));
    reply_map(r, 2 + (display != NULL) + (arg->key_spec != 0) + texts + flags + parent);
    field_string(r, "name", arg->name);
    field_string(r, "type", arg_type_name(arg->type));
    if (display != NULL)
        field_string(r, "display_text", display);
    if (arg->key_spec != 0)
        field_integer(r, "key_spec_index", arg->key_spec - 1);
    reply_fields(r, fields, ARG_COUNT(fields));
    if (flags) {
        reply_bulk_string(r, "flags");
        reply_arg_flags(r, arg);
    }
    if (parent) {
        reply_bulk_string(r, "arguments");
        reply_args(r, arg->children, arg->child_count);
    }
}

static void reply_args(struct reply *r, const struct arg *args, size_t count)
{
    reply_array(r, count);
    for (size_t i = 0; i < count; i++)
        reply_arg(r, &args[i]);
}

static void reply_history(struct reply *r, const char *const *history)
{
    size_t words = 0;
    while (history[words] != NULL)
        words++;
    reply_set(r, words / 2);
    for (size_t i = 0; i + 1 < words; i += 2) {
        reply_array(r, 2);
        reply_bulk_string(r, history[i]);
        reply_bulk_string(r, history[i + 1]);
    }
}

void command_docs_reply(struct reply *r, const struct command *c)
{
    const struct text_field head[] = {
        {"summary", c->summary},
        {"since", c->since},
        {"group", c->group},
        {"complexity", c->complexity},
    };
    const struct text_field tail[] = {
        {"deprecated_since", c->deprecated_since},
        {"replaced_by", c->replaced_by},
    };
    reply_map(r, count_fields(head, ARG_COUNT(head)) + count_fields(tail, ARG_COUNT(tail)) +
                     (c->doc_flags != 0) + (c->history != NULL) + (c->arg_count != 0) +
                     (c->subcommand_count != 0));
    reply_fields(r, head, ARG_COUNT(head));
    if (c->doc_flags != 0) {
        reply_bulk_string(r, "doc_flags");
        reply_bits(r, c->doc_flags, "", doc_flag_name);
    }
    reply_fields(r, tail, ARG_COUNT(tail));
    if (c->history != NULL) {
        reply_bulk_string(r, "history");
        reply_history(r, c->history);
    }
    if (c->arg_count != 0) {
        reply_bulk_string(r, "arguments");
        reply_args(r, c->args, c->arg_count);
    }
    if (c->subcommand_count != 0) {
        reply_bulk_string(r, "subcommands");
        reply_map(r, c->subcommand_count);
        for (size_t i = 0; i < c->subcommand_count; i++) {
            reply_bulk_string(r, c->subcommands[i].full_name);
            command_docs_reply(r, &c->subcommands[i]);
        }
    }
}
