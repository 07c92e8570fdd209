/* cmd_client.h - CLIENT's subcommands, for its row in cmd_connection.c, and what HELLO shares. */
#pragma once

#include "server/command.h"

enum { CLIENT_SUBCOMMANDS = 18 };
extern const struct command client_subcommands[CLIENT_SUBCOMMANDS];

/* Names the caller, or replies with an error and says false. */
bool client_command_set_name(struct call *call, struct slice name);
/* A row's parser for commands that read their words themselves, in an order no grammar can say. */
bool client_command_any_words(const struct command *command, const struct slice *argv, size_t argc,
                              struct args *out, const char **error);
