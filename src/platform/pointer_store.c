/* pointer_store.c - see pointer_store.h, and pointer_store.S for the store itself. */
#include "platform/pointer_store.h"

extern const char pointer_store_begin[] __asm__("tu__gc_set");
extern const char pointer_store_end[] __asm__("tu__gc_set_done");

uint32_t tu__store_guard;
void (*tu__store_slow)(void *slot, const void *value);
uintptr_t tu__card_base;
size_t tu__card_limit;
uint8_t *tu__card_table;

void pointer_store_again(uintptr_t *pc)
{
    if (*pc > (uintptr_t)pointer_store_begin && *pc < (uintptr_t)pointer_store_end)
        *pc = (uintptr_t)pointer_store_begin;
}
