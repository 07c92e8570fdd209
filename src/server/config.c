/* config.c - snapshots and pins; see config.h.
 *
 * A snapshot is freed when its last pin goes. The store's `current` is one of the pins. Counts move
 * only under the store's lock, and `current` is swapped under it, so between reading `current` and
 * counting the pin nobody can free it. Readers do not take the lock as long as the snapshot they have
 * pinned is still the current one.
 *
 * Rejected: hazard pointers and epochs (a store and a fence for each batch, and readers that park
 * would hold back everybody's garbage); keeping old snapshots for ever (CONFIG SET in a loop).
 */
#include "server/config.h"

#include "base/check.h"
#include "server/config_table.h"

#include <tuco/mem.h>

#include <errno.h>

static void unpin(struct config *config)
{
    size_t before = atomic_fetch_sub_explicit(&config->pins, 1, memory_order_acq_rel);
    tu_check(before > 0, "a configuration was unpinned too often");
    if (before == 1)
        config_free(config);
}

const struct config *config_pin_slow(struct config_store *store, struct config_pin *pin)
{
    tu__lock(&store->lock);
    const struct config *old = pin->config;
    const struct config *now = atomic_load_explicit(&store->current, memory_order_relaxed);
    atomic_fetch_add_explicit(&((struct config *)(uintptr_t)now)->pins, 1, memory_order_relaxed);
    pin->config = now;
    tu__unlock(&store->lock);
    if (old != NULL)
        unpin((struct config *)(uintptr_t)old);
    return now;
}

void config_pin_release(struct config_store *store, struct config_pin *pin)
{
    if (pin->config != NULL)
        unpin((struct config *)(uintptr_t)pin->config);
    pin->config = NULL;
}

/* What client-output-buffer-limit says, and never more than all clients may hold (maxmemory-clients), or the whole server. */
static int64_t output_bound(const struct config *config)
{
    int64_t of_clients = config->maxmemory_clients;
    if (of_clients < 0)
        of_clients = -of_clients * (config->maxmemory / 100);
    const int64_t bounds[] = {config->output_limits[CLIENT_CLASS_NORMAL].hard_bytes, of_clients,
                              config->maxmemory};
    int64_t least = INT64_MAX;
    for (int i = 0; i < 3; i++)
        if (bounds[i] > 0 && bounds[i] < least)
            least = bounds[i];
    return least;
}

void config_publish(struct config_store *store, struct config *config)
{
    config->output_bound = output_bound(config);
    atomic_store_explicit(&config->pins, 1, memory_order_relaxed);
    tu__lock(&store->lock);
    const struct config *old = atomic_load_explicit(&store->current, memory_order_relaxed);
    /* Release: pairs with the acquire in config_pin_refresh. */
    atomic_store_explicit(&store->current, config, memory_order_release);
    tu__unlock(&store->lock);
    if (old != NULL)
        unpin((struct config *)(uintptr_t)old);
}

void config_store_free(struct config_store *store)
{
    const struct config *last =
        atomic_exchange_explicit(&store->current, NULL, memory_order_acq_rel);
    if (last != NULL)
        unpin((struct config *)(uintptr_t)last);
}

static bool has_text(const struct config_row *row)
{
    return row->kind == CONFIG_STRING || row->kind == CONFIG_SPECIAL;
}

static const char **text_field(const struct config_row *row, struct config *config)
{
    return (const char **)((char *)config + row->offset);
}

struct config *config_default(void)
{
    struct config *config = tu_alloc_zeroed(sizeof *config);
    if (config == NULL)
        return NULL;
    for (size_t i = 0; i < config_row_count(); i++)
        config_row_reset(config_row_at(i), config);
    if (!config_assign(&config->file, SLICE(""))) {
        config_free(config);
        return NULL;
    }
    return config;
}

struct config *config_copy(const struct config *from)
{
    struct config *config = tu_alloc(sizeof *config);
    if (config == NULL)
        return NULL;
    memcpy(config, from, sizeof *config);
    atomic_store_explicit(&config->pins, 0, memory_order_relaxed);
    bool fine = true;
    for (size_t i = 0; i < config_row_count(); i++) {
        if (has_text(config_row_at(i))) {
            const char **field = text_field(config_row_at(i), config);
            *field = text_copy(slice_of(*field));
            fine = fine && *field != NULL;
        }
    }
    config->file = text_copy(slice_of(from->file));
    if (fine && config->file != NULL)
        return config;
    config_free(config);
    return NULL;
}

void config_free(struct config *draft)
{
    if (draft == NULL)
        return;
    for (size_t i = 0; i < config_row_count(); i++) {
        if (has_text(config_row_at(i)))
            tu_free((void *)(uintptr_t)*text_field(config_row_at(i), draft));
    }
    tu_free((void *)(uintptr_t)draft->file);
    tu_free(draft);
}

int config_set(struct config *draft, const struct slice *argv, size_t argc,
               struct config_error *error)
{
    const struct config_row *row = argc == 0 ? NULL : config_row_find(argv[0]);
    if (row == NULL) {
        error->reason = "Bad directive or wrong number of arguments";
        return -EINVAL;
    }
    if (argc == 1) {
        error->reason = "wrong number of arguments";
        return -EINVAL;
    }
    return config_row_set(row, draft, argv + 1, argc - 1, CONFIG_FROM_FILE, error);
}
