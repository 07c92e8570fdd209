/* config_table.h - the rows behind struct config, for those who read and write directives by name:
 * CONFIG GET and SET, the file reader, CONFIG REWRITE. Constant; any thread; never parks.
 */
#pragma once

#include "server/config.h"
#include "server/text.h"

enum config_kind {
    CONFIG_BOOL,
    CONFIG_NUMBER,
    CONFIG_MEMORY,
    CONFIG_PERCENT_OR_MEMORY,
    CONFIG_ENUM,
    CONFIG_STRING,
    CONFIG_SPECIAL,
};
enum config_flag { /* config_directives.inc says what they mean */
                   CONFIG_IMMUTABLE = 1 << 0,
                   CONFIG_PROTECTED = 1 << 1,
                   CONFIG_SENSITIVE = 1 << 2,
                   CONFIG_HIDDEN = 1 << 3,
                   CONFIG_IDLE = 1 << 4,
};
struct config_word {
    const char *word;
    int value;
};
struct config_row {
    const char *name, *alias; /* alias: an older name, or NULL */
    enum config_kind kind;
    uint32_t flags;
    size_t offset;                   /* of the field in struct config */
    int64_t low, high, number;       /* range and default of integers and sizes; default of bools */
    const char *text;                /* default of enums, strings and special ones */
    const struct config_word *words; /* of enums; ends with a NULL word */
};

/* Who gives the value: in a file `save` lines add up, and `dir` takes effect at once. */
enum config_source { CONFIG_FROM_FILE, CONFIG_FROM_COMMAND };

size_t config_row_count(void);
const struct config_row *config_row_at(size_t index);
/* By name or older name, any case; NULL: none. */
const struct config_row *config_row_find(struct slice name);

/* Sets the field from its words (the name excluded). A single word of a directive that takes several
 * is split at spaces first. 0, or -EINVAL with error->reason. */
int config_row_set(const struct config_row *row, struct config *draft, const struct slice *words,
                   size_t count, enum config_source source, struct config_error *error)
    __attribute__((warn_unused_result));
/* The value as CONFIG GET shows it. */
void config_row_print(const struct config_row *row, const struct config *config, struct text *out);
bool config_row_equal(const struct config_row *row, const struct config *a, const struct config *b);
void config_row_reset(const struct config_row *row, struct config *draft); /* to its default */
/* True if its words are given one by one in a file (`save 3600 1`), not as one quoted word. */
bool config_row_takes_words(const struct config_row *row);

/* ---- config_special.c ---- */
int config_special_set(const struct config_row *row, struct config *draft,
                       const struct slice *words, size_t count, enum config_source source,
                       struct config_error *error) __attribute__((warn_unused_result));
/* NULL, or why this string is not a value of this string directive. */
const char *config_string_check(const struct config_row *row, struct slice value,
                                struct config_error *error);
/* NULL, or why the draft's values do not fit together or with the row just set. */
const char *config_row_check(const struct config_row *row, struct config *draft);

/* ---- used by both ---- */
/* Replaces a string field (frees the old text); false: out of memory. */
bool config_assign(const char **field, struct slice value);
/* "12", "1k", "3mb" ...: units as Redis's, k = 1000, kb = 1024. False: not such a text, or too large
 * for 64 bits. */
bool config_parse_memory(struct slice text, uint64_t *bytes);
