/* families.h - the families of commands: one line for each file of this folder that has rows.
 *
 * The file defines `const struct command_family <name>_family` (command.h); command_table.c reads
 * this list. Adding a family is its file and its line here.
 */
#pragma once

#include "server/command.h"

#define COMMAND_FAMILIES(X) \
    X(bitmap)               \
    X(cluster)              \
    X(command)              \
    X(command_log)          \
    X(config)               \
    X(debug)                \
    X(connection)           \
    X(dump)                 \
    X(expire)               \
    X(geo)                  \
    X(generic)              \
    X(hash)                 \
    X(hash_expire)          \
    X(hyperloglog)          \
    X(latency)              \
    X(list)                 \
    X(lolwut)               \
    X(list_block)           \
    X(memory)               \
    X(migrate)              \
    X(server)               \
    X(stream)               \
    X(stream_claim)         \
    X(stream_group)         \
    X(stream_read)          \
    X(set)                  \
    X(sort)                 \
    X(string)               \
    X(string_edit)          \
    X(throttle)             \
    X(transaction)          \
    X(wait)                 \
    X(zset)                 \
    X(zset_block)           \
    X(zset_combine)         \
    X(zset_range)

#define COMMAND_FAMILY_DECLARE(name) extern const struct command_family name##_family;
COMMAND_FAMILIES(COMMAND_FAMILY_DECLARE)
#undef COMMAND_FAMILY_DECLARE
