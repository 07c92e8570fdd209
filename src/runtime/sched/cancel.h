/* cancel.h - has it ended? The rest of the contract is in park.h. */
#pragma once

#include "runtime/sched/park.h"

/* 0, or the negative errno `c` ended with. Never parks. */
static inline int32_t tu__cancel_error(const struct tu__cancel *c)
{
    /* acquire: pairs with the release store in tu__cancel_end. */
    return atomic_load_explicit(&c->error, memory_order_acquire);
}
