/* limits.h - what the system lets this process have. Any thread; never parks. */
#pragma once

#include <stdint.h>

/* Raises the limit on open descriptors to at least `wanted`. 0; or -errno, with the limit as high as
 * it can be, which is *have. */
int limits_descriptors(uint64_t wanted, uint64_t *have) __attribute__((warn_unused_result));
