/* lin_check.h - is there an order of these operations that explains their replies?
 *
 * A history is linearizable if its operations can be put in one sequence in which each has the replies it got (lin_model.h),
 * each comes before those that began after it had ended, and those of one client keep their order. Wing and Gong's search
 * with Lowe's memory of configurations, as in porcupine.
 *
 * Histories of keys that no operation connects are independent: lin_components splits them.
 */
#pragma once

#include "linearizability/lin_model.h"

enum lin_verdict { LIN_RIGHT, LIN_WRONG, LIN_UNDECIDED };

struct lin_report {
    uint64_t steps;          /* times an operation was tried in a state */
    uint64_t configurations; /* that were remembered */
    unsigned placed;         /* operations in the longest sequence that was found */
    uint16_t *order; /* those, by their places in `ops`; the caller's room for `count`, or NULL */
};

struct lin_checker;
struct lin_checker *lin_checker_new(void);
void lin_checker_free(struct lin_checker *checker);

/* All keys are missing at the beginning. `ops` in any order, those of one client in its own; LIN_UNDECIDED after `most` remembered
 * configurations. */
enum lin_verdict lin_check(struct lin_checker *checker, const struct lin_op *const *ops,
                           unsigned count, uint64_t most, struct lin_report *report);
/* The same by trying all sequences, for the test of the other: at most 10 operations. */
enum lin_verdict lin_check_by_force(struct lin_checker *checker, const struct lin_op *const *ops,
                                    unsigned count);

/* Fills `component` with the number of each operation's component, from 0: how many there are. EXEC's keys must
 * include those it asks about. Operations without keys get -1. */
unsigned lin_components(const struct lin_op *const *ops, unsigned count, int *component);
