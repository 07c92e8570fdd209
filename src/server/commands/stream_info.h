/* stream_info.h - the handlers of XINFO's subcommands; cmd_stream.c has their rows. */
#pragma once

#include "server/command.h"

void stream_info_help(struct call *call);
void stream_info_stream(struct call *call);
void stream_info_groups(struct call *call);
void stream_info_consumers(struct call *call);
