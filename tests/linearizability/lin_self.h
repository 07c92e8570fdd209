/* lin_self.h - can the test fail? Histories written by hand, histories changed at random, servers broken on purpose. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Says what it does on standard output; false: something was not as it must be. `seconds`: at most as long for a broken
 * server. */
bool lin_self_test(uint64_t seed, unsigned seconds);
