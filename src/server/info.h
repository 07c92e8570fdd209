/* info.h - the text of INFO.
 *
 * Sections and fields are those of Valkey 9.1 in its order; what we do not have shows the value that
 * a server without that feature configured shows. Reads without locks where it can; never parks, so
 * that INFO may run inside EXEC.
 */
#pragma once

#include "server/config.h"
#include "server/text.h"

struct server;

/* Bits of sections, in the order in which they are printed. */
enum info_section {
    INFO_SERVER = 1 << 0,
    INFO_TLS = 1 << 1,
    INFO_CLIENTS = 1 << 2,
    INFO_MEMORY = 1 << 3,
    INFO_PERSISTENCE = 1 << 4,
    INFO_STATS = 1 << 5,
    INFO_REPLICATION = 1 << 6,
    INFO_CPU = 1 << 7,
    INFO_MODULES = 1 << 8,
    INFO_COMMANDSTATS = 1 << 9,
    INFO_ERRORSTATS = 1 << 10,
    INFO_LATENCYSTATS = 1 << 11,
    INFO_CLUSTER = 1 << 12,
    INFO_CLUSTER_INFO = 1 << 13,
    INFO_SCRIPTING_ENGINES = 1 << 14,
    INFO_KEYSPACE = 1 << 15,
    INFO_ALL = (1 << 16) - 1,
    INFO_DEFAULT = INFO_ALL & ~(INFO_TLS | INFO_COMMANDSTATS | INFO_LATENCYSTATS |
                                INFO_CLUSTER_INFO | INFO_SCRIPTING_ENGINES),
};

/* The sections that INFO's arguments name; none given: the default ones. Unknown names count as none. */
uint32_t info_sections(const struct slice *names, size_t count);
void info_print(struct server *server, const struct config *config, uint32_t sections,
                struct text *out);
/* "512B", "1.50K", "8.30M" ... into out (at least 24 bytes). */
void info_human_bytes(char *out, size_t size, uint64_t bytes);
