/* command_info.h - what the rows say, as COMMAND INFO and COMMAND DOCS reply it.
 *
 * The shapes are those of Valkey 9.1 in RESP2 and RESP3. Rows only; nothing parks.
 */
#pragma once

#include "server/command.h"

struct reply;

/* The ten-element array of COMMAND INFO, subcommands included. */
void command_info_reply(struct reply *r, const struct command *command);
/* The map of COMMAND DOCS, without the name before it; subcommands included. */
void command_docs_reply(struct reply *r, const struct command *command);
/* Flags of a key, as in key specifications: "RW", "access" ... */
void command_key_flags_reply(struct reply *r, uint32_t flags);
