/* crc64_fast.c - see crc64_fast.h. Sixteen bytes are a polynomial that is folded into those D bits further on: the first
 * eight times x^(D+63), the others times x^(D-1), modulo the CRC's, all in reflected form, in which a product is one bit short. Four
 * such sums run side by side, because a multiplication takes longer than the next may wait. What is left in the end has the
 * CRC of everything before it.
 */
#include "platform/crc64_fast.h"

#include "base/crc64.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 4, LANE_BYTES = 16, STEP = LANES * LANE_BYTES };

#define FOLDING __attribute__((target("pclmul")))

FOLDING static inline __m128i load(const unsigned char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

FOLDING static inline __m128i fold(__m128i sum, __m128i factors, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(sum, factors, 0x00);
    __m128i high = _mm_clmulepi64_si128(sum, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* At least STEP bytes. */
FOLDING static uint64_t crc64_folding(uint64_t crc, const unsigned char *at, size_t size)
{
    const __m128i by_512 = _mm_set_epi64x((long long)UINT64_C(0xf49784a634f014e4),
                                          (long long)UINT64_C(0xaf86efb16d9ab4fb));
    const __m128i by_128 = _mm_set_epi64x((long long)UINT64_C(0x381d0015c96f4444),
                                          (long long)UINT64_C(0xd9d7be7d505da32c));
    __m128i sums[LANES];
    for (int i = 0; i < LANES; i++)
        sums[i] = load(at + i * LANE_BYTES);
    sums[0] = _mm_xor_si128(sums[0], _mm_cvtsi64_si128((long long)crc));
    for (at += STEP, size -= STEP; size >= STEP; at += STEP, size -= STEP)
        for (int i = 0; i < LANES; i++)
            sums[i] = fold(sums[i], by_512, load(at + i * LANE_BYTES));
    __m128i sum = sums[0];
    for (int i = 1; i < LANES; i++)
        sum = fold(sum, by_128, sums[i]);
    for (; size >= LANE_BYTES; at += LANE_BYTES, size -= LANE_BYTES)
        sum = fold(sum, by_128, load(at));
    unsigned char rest[LANE_BYTES];
    _mm_storeu_si128((__m128i *)(void *)rest, sum);
    return crc64(crc64(0, rest, sizeof rest), at, size);
}

uint64_t crc64_fast(uint64_t crc, const void *data, size_t size)
{
    return size >= STEP && __builtin_cpu_supports("pclmul") ? crc64_folding(crc, data, size)
                                                            : crc64(crc, data, size);
}
#else
uint64_t crc64_fast(uint64_t crc, const void *data, size_t size)
{
    return crc64(crc, data, size);
}
#endif
