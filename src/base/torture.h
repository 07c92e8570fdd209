/* torture.h - limits that torture builds and the simulator make tiny, so that what happens when
 * something is full happens all the time (-DTU_TORTURE_SMALL, CMake's TUCO_TORTURE). Ordinary builds see
 * the first number only.
 */
#pragma once

#ifdef TU_TORTURE_SMALL
#define TU__LIMIT(ordinary, tiny) (tiny)
#else
#define TU__LIMIT(ordinary, tiny) (ordinary)
#endif
