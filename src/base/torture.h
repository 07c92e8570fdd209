/* torture.h - limits that torture builds and the simulator make tiny, so that what happens when
 * something is full happens all the time (-DTU_TORTURE_SMALL, CMake's TUCO_TORTURE). Ordinary builds see
 * the first number only.
 *
 * TU__MIGRATE (-DTU_TORTURE_MIGRATE): every goroutine that parked or yielded goes on with another thread, as
 * far as there is one, so that whatever keeps the address of a thread-local across a park breaks soon.
 */
#pragma once

#ifdef TU_TORTURE_SMALL
#define TU__LIMIT(ordinary, tiny) (tiny)
#else
#define TU__LIMIT(ordinary, tiny) (ordinary)
#endif

#ifdef TU_TORTURE_MIGRATE
#define TU__MIGRATE 1
#else
#define TU__MIGRATE 0
#endif
