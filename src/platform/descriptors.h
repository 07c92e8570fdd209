/* descriptors.h - the limit on open files. */
#pragma once

#include <stdint.h>

/* Raises the soft limit, and the hard one where that is allowed, to `wanted` if it is lower. 0; or
 * -errno when the kernel refused: then the limit is as high as it may be, and *have says how high. */
int descriptors_raise(uint64_t wanted, uint64_t *have);
