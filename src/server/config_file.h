/* config_file.h - configuration from files, standard input and the command line, as Redis takes it:
 *
 *     server [FILE] [--directive value ...] [-]
 *
 * Later lines win; options of the command line come after the file, what `-` reads from standard input
 * in between. Used before the runtime starts, by one thread.
 */
#pragma once

#include "server/config.h"

#include <stdio.h>

struct config_file_error {
    size_t line;     /* 1 is the first; 0: not about a line */
    char shown[512]; /* the line, trimmed */
    char reason[320];
};

/* Applies the lines of a text; include is followed. 0; -EINVAL with *error filled; or -ENOENT etc.: a
 * file could not be read, which has been logged. */
int config_read_text(struct config *draft, struct slice text, struct config_file_error *error)
    __attribute__((warn_unused_result));

/* Makes the text that FILE, `-` and the options stand for and applies it. Returns as above; draft->file
 * is set to FILE's absolute path. */
int config_read_arguments(struct config *draft, int argc, char *const *argv,
                          struct config_file_error *error) __attribute__((warn_unused_result));

/* The block that Redis prints on standard error for an error of the configuration. */
void config_file_complain(const struct config_file_error *error, FILE *out);
