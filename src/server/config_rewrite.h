/* config_rewrite.h - CONFIG REWRITE: brings the configuration file in line with what runs.
 */
#pragma once

#include "server/config.h"
#include "server/text.h"

/* The text of the file `old` for this configuration: comments and order stay; a directive's line gets
 * the present value; further lines of it go; what differs from its default and has no line is
 * appended below a generated heading. 0 or -ENOMEM. Pure. */
int config_rewrite_text(const struct config *config, struct slice old, struct text *out)
    __attribute__((warn_unused_result));

/* Rewrites config->file: a temporary file beside it, synced, then renamed over it. 0 or -errno. The
 * thread blocks on the disk; never parks. */
int config_rewrite_file(const struct config *config) __attribute__((warn_unused_result));
