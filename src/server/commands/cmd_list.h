/* cmd_list.h - what the handlers of lists share. For cmd_list*.c only. */
#pragma once

#include "server/commands/handler.h"
#include "store/types/list.h"

/* LMPOP: takes up to `count` elements from the first of the call's keys, whose words begin at `first`, that is there, and
 * replies. False: there is none, nothing was replied. */
bool list_reply_mpop(const struct call *call, size_t first, enum list_end end, size_t count);
