/* The store that asks first: where a stopped thread goes on. */
#include "platform/pointer_store.h"
#include "support/testing.h"

void tu__gc_set(void *slot, const void *value); /* of tuco/gc.h, a floor above */
extern const char begin[] __asm__("tu__gc_set");
extern const char end[] __asm__("tu__gc_set_done");
extern const char begin_noting[] __asm__("tu__gc_set_noting");
extern const char end_noting[] __asm__("tu__gc_set_noting_done");

static void *slow_slot;
static const void *slow_value;

static void slow(void *slot, const void *value)
{
    slow_slot = slot;
    slow_value = value;
}

TEST(pointer_store, stores_or_asks)
{
    void *cell = NULL;
    int object = 0;
    tu__gc_set(&cell, &object);
    CHECK(cell == &object);
    tu__store_slow = slow;
    for (uint32_t notes = 0; notes <= STORE_NOTES; notes += STORE_NOTES) {
        slow_slot = NULL;
        tu__store_guard = STORE_ASKS | notes;
        tu__gc_set(&cell, NULL);
        tu__store_guard = 0;
        CHECK(cell == &object && slow_slot == &cell && !slow_value);
    }
    slow_slot = NULL;
    cell = NULL;
    tu__store_guard = STORE_ASKS;
    tu__gc_set(&cell, &object); /* nothing is overwritten */
    CHECK(cell == &object && !slow_slot);
    cell = NULL;
    tu__store_guard = STORE_ASKS | STORE_SLOW;
    tu__gc_set(&cell, &object);
    tu__store_guard = 0;
    CHECK(!cell && slow_slot == &cell && slow_value == &object);
}

TEST(pointer_store, notes_where)
{
    static char memory[16 << CARD_SHIFT] __attribute__((aligned(1 << CARD_SHIFT)));
    static uint8_t cards[16];
    void *outside = NULL;
    tu__card_base = (uintptr_t)memory;
    tu__card_table = cards;
    tu__card_limit = sizeof memory;
    tu__gc_set(memory + (5 << CARD_SHIFT), memory);
    tu__store_guard = STORE_NOTES;
    tu__gc_set(memory + (3 << CARD_SHIFT) + 8, memory);
    tu__gc_set(memory + sizeof memory - 8, memory);
    tu__gc_set(&outside, memory);
    CHECK(outside == memory);
    tu__store_guard = STORE_NOTES | STORE_ASKS;
    tu__gc_set(memory + (7 << CARD_SHIFT), memory);
    tu__card_limit = 0;
    tu__gc_set(memory, memory);
    tu__store_guard = 0;
    for (int i = 0; i < 16; i++)
        CHECK_EQ(cards[i], i == 3 || i == 7 || i == 15);
}

TEST(pointer_store, begins_again_between_question_and_store)
{
    for (const char *at = begin - 2; at < end_noting + 2; at++) {
        uintptr_t pc = (uintptr_t)at;
        bool between = (at > begin && at < end) || (at >= begin_noting && at < end_noting);
        pointer_store_again(&pc);
        CHECK_EQ(pc, (uintptr_t)(between ? begin : at));
    }
}
