/* sanitizer.h - whether this build's heap is malloc, so that AddressSanitizer sees each block.
 * TU_MEM_OWN keeps the real heap in such a build: its own tests and its fuzzer want that.
 */
#pragma once

#if defined(TU_MEM_OWN)
#define TU__MEM_IS_MALLOC 0
#elif defined(__SANITIZE_ADDRESS__)
#define TU__MEM_IS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TU__MEM_IS_MALLOC 1
#endif
#endif
#ifndef TU__MEM_IS_MALLOC
#define TU__MEM_IS_MALLOC 0
#endif
