/* sim_oracle.h - what must hold of the scheduler whatever a scenario does. */
#pragma once

/* When nobody can run: if every P sleeps then nothing is ready, nobody spins, and the counters say so. */
void oracle_nothing_is_forgotten(void);
/* After a scenario, on the first thread: waits until all goroutines have ended and all Ps sleep. */
void oracle_all_came_to_rest(void);
/* Prints Ps and counters on stderr. */
void oracle_describe(void);
