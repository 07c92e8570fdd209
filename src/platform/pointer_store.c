/* pointer_store.c - see pointer_store.h, and pointer_store.S for the store itself. */
#include "platform/pointer_store.h"

extern const char question[] __asm__("tu__gc_set"), stored[] __asm__("tu__gc_set_done");
extern const char question_noting[] __asm__("tu__gc_set_noting");
extern const char stored_noting[] __asm__("tu__gc_set_noting_done");

uint32_t tu__store_guard;
void (*tu__store_slow)(void *slot, const void *value);
uintptr_t tu__card_base;
size_t tu__card_limit;
uint8_t *tu__card_table;

void pointer_store_again(uintptr_t *pc)
{
    if ((*pc > (uintptr_t)question && *pc < (uintptr_t)stored) ||
        (*pc >= (uintptr_t)question_noting && *pc < (uintptr_t)stored_noting))
        *pc = (uintptr_t)question;
}
