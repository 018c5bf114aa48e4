/* A word as two 16-bit or four 8-bit numbers: instructions of cores with the DSP extension, by the intrinsics of ACLE
 * (arm_acle.h). Compilers and processors without these, GCC before 10 among them, compute the same in plain C. */
#ifndef GGDQ_SIMD_H
#define GGDQ_SIMD_H

#include "ggdq_runtime.h"

/* Four bytes as a word, wherever they lie: these cores load and store words at any address. */
static inline uint32_t simd_load(const void *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, 4);
    return word;
}

static inline void simd_store(void *bytes, uint32_t word)
{
    __builtin_memcpy(bytes, &word, 4);
}

/* Bytes 1 and 3 where the functions below take bytes 0 and 2: a rotation, which compilers may fold into them. */
static inline uint32_t simd_odd(uint32_t bytes)
{
    return bytes >> 8 | bytes << 24;
}

#if defined(__ARM_FEATURE_SIMD32) && defined(GGDQ_ACLE)
/* ACLE has signed and unsigned words, compilers do not agree which. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
/* Bytes 0 and 2 as 16-bit numbers. */
static inline uint32_t simd_uxtb16(uint32_t bytes)
{
    return __uxtb16(bytes);
}

static inline uint32_t simd_sxtb16(uint32_t bytes)
{
    return __sxtb16(bytes);
}

/* The same, added to the halves of `sums`. */
static inline uint32_t simd_uxtab16(uint32_t sums, uint32_t bytes)
{
    return __uxtab16(sums, bytes);
}

static inline uint32_t simd_sxtab16(uint32_t sums, uint32_t bytes)
{
    return __sxtab16(sums, bytes);
}

/* Sums and differences of the halves. */
static inline uint32_t simd_add16(uint32_t a, uint32_t b)
{
    return __sadd16(a, b);
}

static inline uint32_t simd_sub16(uint32_t a, uint32_t b)
{
    return __ssub16(a, b);
}

/* The larger of each pair of bytes: the differences' signs select it. */
static inline uint32_t simd_max_u8(uint32_t a, uint32_t b)
{
    (void)__usub8(a, b);
    return __sel(a, b);
}

static inline uint32_t simd_max_s8(uint32_t a, uint32_t b)
{
    (void)__ssub8(a, b);
    return __sel(a, b);
}

#pragma GCC diagnostic pop
#else
static inline uint32_t simd_uxtb16(uint32_t bytes)
{
    return bytes & 0x00FF00FFu;
}

static inline uint32_t simd_sxtb16(uint32_t bytes)
{
    return ggdq_pair((int8_t)bytes, (int8_t)(bytes >> 16));
}

static inline uint32_t simd_add16(uint32_t a, uint32_t b)
{
    return ggdq_pair((int16_t)a + (int16_t)b, (int16_t)(a >> 16) + (int16_t)(b >> 16));
}

static inline uint32_t simd_sub16(uint32_t a, uint32_t b)
{
    return ggdq_pair((int16_t)a - (int16_t)b, (int16_t)(a >> 16) - (int16_t)(b >> 16));
}

static inline uint32_t simd_uxtab16(uint32_t sums, uint32_t bytes)
{
    return simd_add16(sums, simd_uxtb16(bytes));
}

static inline uint32_t simd_sxtab16(uint32_t sums, uint32_t bytes)
{
    return simd_add16(sums, simd_sxtb16(bytes));
}

static inline uint32_t simd_max_u8(uint32_t a, uint32_t b)
{
    uint32_t largest = 0;
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        const uint32_t one = a >> shift & 255u;
        const uint32_t other = b >> shift & 255u;
        largest |= (one > other ? one : other) << shift;
    }
    return largest;
}

static inline uint32_t simd_max_s8(uint32_t a, uint32_t b)
{
    return simd_max_u8(a ^ 0x80808080u, b ^ 0x80808080u) ^ 0x80808080u;
}
#endif

#endif
