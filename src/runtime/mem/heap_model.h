/* heap_model.h - a naive model of the manual heap, driven by bytes: the fuzzer's and, with bytes
 * from a seed, heap_model_test's. After each step the whole heap is verified and its count
 * compared.
 *
 * The model knows for each of its slots which block is there, how large, and what was written to
 * it.
 */
#pragma once

#include "base/check.h"
#include "runtime/mem/heap.h"
#include "runtime/mem/heap_debug.h"

#include <stdint.h>
#include <string.h>

enum { MODEL_SLOTS = 128, MODEL_FILL = 2048 };

struct model_slot {
    unsigned char *block;
    size_t size;
    unsigned char seed;
};

struct model {
    struct model_slot slots[MODEL_SLOTS];
    size_t used_bytes, blocks; /* as tu_mem_stats counts them */
    int64_t clock_ns;
    const uint8_t *data; /* what is left of the input */
    size_t left;
};

static uint8_t model_byte(struct model *m)
{
    if (m->left == 0)
        return 0;
    m->left--;
    return *m->data++;
}

/* Every order of magnitude up to 1 MiB, small ones more often. */
static size_t model_size(struct model *m)
{
    unsigned bits = model_byte(m) % 32;
    size_t wish = model_byte(m) | (size_t)model_byte(m) << 8;
    bits = bits < 16 ? bits % 8 : bits < 28 ? bits - 12 : bits - 11;
    return (wish << 4 | bits) & (((size_t)1 << bits) - 1);
}

/* The bytes at both ends of a block. */
static void model_fill(struct model_slot *s, unsigned char seed)
{
    s->seed = seed;
    for (size_t i = 0; i < s->size && i < MODEL_FILL; i++)
        s->block[i] = (unsigned char)(seed + i);
    for (size_t i = 1; i <= s->size && i < MODEL_FILL; i++)
        s->block[s->size - i] = (unsigned char)(seed ^ i);
}

/* `size`: how many bytes of what was written should still be there. */
static void model_check(const struct model_slot *s, const unsigned char *block, size_t size)
{
    for (size_t i = 0; i < size && i < MODEL_FILL && s->size - i >= MODEL_FILL; i++)
        tu_check(block[i] == (unsigned char)(s->seed + i), "model: byte %zu of %zu", i, s->size);
    for (size_t i = 1; i <= s->size && i < MODEL_FILL; i++)
        if (s->size - i < size)
            tu_check(block[s->size - i] == (unsigned char)(s->seed ^ i),
                     "model: byte %zu from the end of %zu", i, s->size);
}

static size_t model_cost(const void *block)
{
    return tu_usable_size(block) + TU__REDZONE;
}

static void model_drop(struct model *m, struct model_slot *s)
{
    m->used_bytes -= model_cost(s->block);
    m->blocks--;
    model_check(s, s->block, s->size);
    tu_free(s->block);
    s->block = NULL;
}

static void model_put(struct model *m, struct model_slot *s, void *block, size_t size)
{
    s->block = block;
    s->size = size;
    if (!block)
        return;
    tu_check(tu_usable_size(block) >= size, "model: usable size");
    tu_check((uintptr_t)block % 8 == 0, "model: alignment");
    m->used_bytes += model_cost(block);
    m->blocks++;
    model_fill(s, (unsigned char)(m->left * 31 + size));
}

static void model_alloc(struct model *m, struct model_slot *s, uint8_t op)
{
    size_t size = model_size(m);
    unsigned char *p;
    if (op < 4) {
        p = tu_alloc(size);
        tu_check(!p || tu_usable_size(p) == tu_good_size(size), "model: good size");
    } else if (op < 6) {
        p = tu_alloc_zeroed(size);
        for (size_t i = 0; p && i < size; i++)
            tu_check(p[i] == 0, "model: zeroed byte %zu of %zu", i, size);
    } else {
        size_t align = (size_t)1 << model_byte(m) % 18;
        p = tu_alloc_aligned(align, size);
        tu_check((uintptr_t)p % align == 0, "model: aligned to %zu", align);
    }
    model_put(m, s, p, size);
}

static void model_resize(struct model *m, struct model_slot *s)
{
    size_t size = model_size(m), cost = model_cost(s->block);
    unsigned char *p = tu_realloc(s->block, size);
    model_check(s, p ? p : s->block, p && size < s->size ? size : s->size);
    if (p) {
        m->used_bytes -= cost;
        m->blocks--;
        model_put(m, s, p, size);
    }
}

static void model_move(struct model *m, struct model_slot *s)
{
    struct tu_block_place place;
    tu_block_place(s->block, &place);
    tu_check(place.usable_bytes >= s->size && place.blocks_used <= place.blocks, "model: place");
    void *old = s->block, *p = tu_move(s->block);
    tu_check((p != NULL) == place.worth_moving && p != old, "model: advice");
    if (p)
        s->block = p;
    model_check(s, s->block, s->size);
}

static void model_visit(void *block, size_t usable_bytes, void *arg)
{
    size_t *sums = arg;
    sums[0]++;
    sums[1] += usable_bytes + TU__REDZONE;
}

static void model_walk(const struct model *m)
{
    size_t sums[2] = {0};
    tu_mem_walk(model_visit, sums);
    tu_check(sums[0] == m->blocks && sums[1] == m->used_bytes,
             "model: the walk found %zu, %zu bytes", sums[0], sums[1]);
}

static void model_fail_after(int64_t n)
{
    if (!tu__mem_fail_after(n))
        return; /* not a debug build: nothing fails */
}

static void model_reserves(struct model *m, uint8_t which)
{
    switch (which % 4) {
    case 0: tu__mem_flush(); break;
    case 1: (void)tu_mem_release(); break;
    case 2: tu__mem_scavenge(m->clock_ns += 300000000); break;
    default: model_fail_after(1 + which / 64); break;
    }
}

static void model_step(struct model *m)
{
    uint8_t op = model_byte(m);
    struct model_slot *s = &m->slots[model_byte(m) % MODEL_SLOTS];
    if (op >= 250)
        model_walk(m);
    else if (op >= 240)
        model_reserves(m, model_byte(m));
    else if (!s->block)
        model_alloc(m, s, op % 8);
    else if (op % 8 < 3)
        model_resize(m, s);
    else if (op % 8 == 3)
        model_move(m, s);
    else
        model_drop(m, s);
}

static void model_verify(const struct model *m)
{
    struct tu_mem_stats stats;
    tu__mem_verify();
    tu_mem_stats(&stats);
    tu_check(stats.used_bytes == m->used_bytes, "model: %zu bytes used, should be %zu",
             stats.used_bytes, m->used_bytes);
}

/* Does what the bytes say, and leaves the heap empty. */
static void model_run(const uint8_t *data, size_t size)
{
    static struct model m; /* the clock goes on: it is the scavenger's */
    m.data = data;
    m.left = size;
    while (m.left > 0) {
        model_step(&m);
        model_verify(&m);
    }
    model_fail_after(0);
    for (size_t i = 0; i < MODEL_SLOTS; i++)
        if (m.slots[i].block)
            model_drop(&m, &m.slots[i]);
    model_walk(&m);
    tu__mem_verify();
    tu_check(m.used_bytes == 0 && m.blocks == 0, "model: not empty at the end");
}
