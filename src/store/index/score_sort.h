/* score_sort.h - elements in the order of a score_tree, all at once.
 *
 * Pure but for the elements it reads; allocates nothing: the caller brings as much room again.
 */
#pragma once

#include "store/index/element_table.h"

#include <stddef.h>

/* Sorts items by score, then name. Their words are overwritten; `room` is for `count` items. */
void score_sort(struct element_item *items, struct element_item *room, size_t count);
