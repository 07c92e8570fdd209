/* info_sections.h - the sections of INFO: each prints its fields, without the title. */
#pragma once

#include "server/config.h"
#include "server/text.h"
#include "store/keyspace.h"

struct server;

typedef void (*info_section_fn)(struct server *server, const struct config *config,
                                struct text *out);

/* info.c */
void info_print_server(struct server *server, const struct config *config, struct text *out);
void info_print_tls(struct server *server, const struct config *config, struct text *out);
void info_print_clients(struct server *server, const struct config *config, struct text *out);
void info_print_persistence(struct server *server, const struct config *config, struct text *out);
void info_print_replication(struct server *server, const struct config *config, struct text *out);
void info_print_cpu(struct server *server, const struct config *config, struct text *out);
void info_print_cluster(struct server *server, const struct config *config, struct text *out);
void info_print_scripting(struct server *server, const struct config *config, struct text *out);
void info_print_keyspace(struct server *server, const struct config *config, struct text *out);
/* info_stats.c */
void info_print_memory(struct server *server, const struct config *config, struct text *out);
void info_print_stats(struct server *server, const struct config *config, struct text *out);
void info_print_commandstats(struct server *server, const struct config *config, struct text *out);
void info_print_errorstats(struct server *server, const struct config *config, struct text *out);
void info_print_latencystats(struct server *server, const struct config *config, struct text *out);

/* Memory as INFO and MEMORY STATS see it, in bytes. */
struct info_memory {
    uint64_t used, peak, resident, startup, heap;
    uint64_t clients, tables; /* overhead: input and output of clients; tables and expiry index */
    uint64_t overhead, dataset;
    double dataset_percent, peak_percent, fragmentation;
};
void info_memory_get(struct server *server, struct info_memory *out);
