/* client_registry.c - a list under one lock. Connecting and leaving take it once each; everything
 * else is an operator's command. The list is in order of ids, which is the order in which CLIENT LIST
 * prints.
 */
#include "server/client_registry.h"

#include "server/blocked.h"
#include "server/log.h"
#include "server/server.h"
#include "server/stats.h"
#include "server/text.h"

#include "base/check.h"

#include <tuco/mem.h>

struct client_registry *client_registry_new(void)
{
    struct client_registry *registry = tu_alloc_zeroed(sizeof *registry);
    if (registry)
        registry->next_id = 3;
    return registry;
}

void client_registry_free(struct client_registry *registry)
{
    tu_check(!registry || !registry->first, "client registry: clients are left");
    tu_free(registry);
}

bool client_registry_add(struct client_registry *registry, struct client *c, uint32_t maximum)
{
    tu__lock(&registry->lock);
    uint32_t count = client_registry_count(registry);
    bool fits = count < maximum;
    if (fits) {
        c->id = registry->next_id++;
        c->previous = registry->last;
        c->next = NULL;
        if (registry->last)
            registry->last->next = c;
        else
            registry->first = c;
        registry->last = c;
        atomic_store_explicit(&registry->count, count + 1, memory_order_relaxed);
    }
    tu__unlock(&registry->lock);
    return fits;
}

void client_registry_remove(struct client_registry *registry, struct client *c)
{
    tu__lock(&registry->lock);
    if (c->previous || registry->first == c) {
        if (c->previous)
            c->previous->next = c->next;
        else
            registry->first = c->next;
        if (c->next)
            c->next->previous = c->previous;
        else
            registry->last = c->previous;
        c->next = c->previous = NULL;
        uint32_t count = client_registry_count(registry);
        atomic_store_explicit(&registry->count, count - 1, memory_order_relaxed);
    }
    tu__unlock(&registry->lock);
}

void client_registry_each(struct client_registry *registry,
                          bool (*each)(void *context, struct client *c), void *context)
{
    tu__lock(&registry->lock);
    for (struct client *c = registry->first; c && each(context, c); c = c->next)
        ;
    tu__unlock(&registry->lock);
}

void client_registry_kill(struct client *c)
{
    client_store(c->killed, true);
    if (c->conn)
        tu_serve_wake(c->conn);
}

static bool add_totals(void *context, struct client *c)
{
    struct client_totals *t = context;
    uint64_t input = client_load(c->input_bytes), output = client_load(c->output_bytes);
    uint32_t watched = client_load(c->watched);
    t->connected++;
    t->watching += watched > 0;
    t->blocked += blocked_is_waiting(c) || (client_flags(c) & CLIENT_PAUSED);
    t->with_timeout += blocked_has_timeout(c);
    t->watched_keys += watched;
    t->pending_output += output > 0;
    t->input_bytes += input;
    t->output_bytes += output;
    t->memory_bytes += client_memory(c);
    if (input > t->max_input_bytes)
        t->max_input_bytes = input;
    if (output > t->max_output_bytes)
        t->max_output_bytes = output;
    return true;
}

void client_registry_totals(struct client_registry *registry, struct client_totals *out)
{
    *out = (struct client_totals){0};
    client_registry_each(registry, add_totals, out);
}

struct cron {
    const struct config *config;
    int64_t now_ms;
};

static bool check_client(void *context, struct client *c)
{
    const struct cron *cron = context;
    int64_t timeout_s = cron->config->timeout;
    if (timeout_s > 0 && !blocked_is_waiting(c) && !(client_flags(c) & CLIENT_PAUSED) &&
        (cron->now_ms - client_load(c->last_ms)) / 1000 > timeout_s) {
        log_verbose("Closing idle client");
        client_registry_kill(c);
    } else if (client_load(c->output_bytes) > 0 && c->conn) {
        tu_serve_wake(c->conn); /* its handler looks at the limits, which are its own */
    }
    return true;
}

void client_registry_cron(struct client_registry *registry, const struct config *config,
                          int64_t now_ms)
{
    struct cron cron = {config, now_ms};
    const struct output_limit *limit = &config->output_limits[CLIENT_CLASS_NORMAL];
    if (config->timeout > 0 || limit->soft_bytes > 0 || limit->hard_bytes > 0)
        client_registry_each(registry, check_client, &cron);
}
