/* barrier.h - an expensive fence on one side, so that the other side needs none.
 *
 * Fast side: store A; compiler barrier; load B.     Slow side: store B; barrier_all_threads(); load A.
 * At least one of the two sees the other's store. (membarrier(2), PRIVATE_EXPEDITED.)
 */
#pragma once

/* Every running thread of the process executes a full memory barrier. */
void barrier_all_threads(void);
