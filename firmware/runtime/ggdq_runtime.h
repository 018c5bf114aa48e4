/* What the generated networks share: attributes and the few operations that C does not name. */
#ifndef GGDQ_RUNTIME_H
#define GGDQ_RUNTIME_H

#include <stdint.h>

/* GCC 12 makes wrong masks of constant conditions when it vectorizes for Helium by itself; the kernels do it in assembly. */
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-vectorize")
#endif

#define GGDQ_NOINLINE __attribute__((noinline))

/* A layer is a function of its own in the firmware, under its own name and with all of its parameters, so that
 * profiles, stack figures and comparisons can look at it. GCC 12 must not carry the arena's addresses into the kernels:
 * where its loops then count from one tensor to the other, it holds a kernel that only writes for one without effect. */
#ifdef __clang__
#define GGDQ_LAYER __attribute__((noinline))
#else
#define GGDQ_LAYER __attribute__((noipa))
#endif

/* A function in assembly alone. The compiler must not look inside: it would conclude that no register changes. Addresses in it
 * are relative to words, so it has to begin at one, which -Os alone does not see to. */
#define GGDQ_UNUSED __attribute__((unused))
#ifdef __clang__
#define GGDQ_ASSEMBLY __attribute__((naked, noinline, aligned(4)))
#else
#define GGDQ_ASSEMBLY __attribute__((naked, noinline, noipa, aligned(4)))
#endif

/* Requantization relies on the arithmetic right shift that all compilers for microcontrollers have. */
/* cppcheck-suppress shiftNegativeLHS */
_Static_assert((-3 >> 1) == -2, "signed right shift must be arithmetic");

static inline int32_t ggdq_clip(int32_t value, int32_t low, int32_t high)
{
#ifdef __ARM_FEATURE_SAT
    /* One instruction where the bounds are those of a byte; after inlining the conditions are constants. */
    if (low == 0 && high == 255) {
        __asm__("usat %0, #8, %1" : "=r"(value) : "r"(value));
        return value;
    }
    if (low == -128 && high == 127) {
        __asm__("ssat %0, #8, %1" : "=r"(value) : "r"(value));
        return value;
    }
#endif
    return value < low ? low : (value > high ? high : value);
}

/* The same for sums that need 64 bits; the bounds are those of an 8- or 16-bit type. */
static inline int32_t ggdq_clip_wide(int64_t value, int32_t low, int32_t high)
{
    return value < low ? low : (value > high ? high : (int32_t)value);
}

static inline int32_t ggdq_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t ggdq_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Two 16-bit numbers in a word, as the dual multiplies take them. */
static inline uint32_t ggdq_pair(int32_t low, int32_t high)
{
    return (uint32_t)(uint16_t)low | (uint32_t)high << 16;
}

#ifdef __ARM_FEATURE_DSP
/* Four bytes as a word, wherever they lie: these cores load and store words at any address. */
static inline uint32_t ggdq_load_word(const void *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, 4);
    return word;
}

static inline void ggdq_store_word(void *bytes, uint32_t word)
{
    __builtin_memcpy(bytes, &word, 4);
}

/* Bytes 0 and 2 of `bytes` added to the two halves of `sums`; bytes 1 and 3 by the functions that end in `_odd`. */
static inline uint32_t ggdq_add_u8(uint32_t sums, uint32_t bytes)
{
    __asm__("uxtab16 %0, %1, %2" : "=r"(sums) : "r"(sums), "r"(bytes));
    return sums;
}

static inline uint32_t ggdq_add_u8_odd(uint32_t sums, uint32_t bytes)
{
    __asm__("uxtab16 %0, %1, %2, ror #8" : "=r"(sums) : "r"(sums), "r"(bytes));
    return sums;
}

static inline uint32_t ggdq_add_s8(uint32_t sums, uint32_t bytes)
{
    __asm__("sxtab16 %0, %1, %2" : "=r"(sums) : "r"(sums), "r"(bytes));
    return sums;
}

static inline uint32_t ggdq_add_s8_odd(uint32_t sums, uint32_t bytes)
{
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(sums) : "r"(sums), "r"(bytes));
    return sums;
}

/* The larger of each pair of bytes. */
static inline uint32_t ggdq_max_u8(uint32_t a, uint32_t b)
{
    uint32_t difference;
    __asm__("usub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(difference) : "r"(a), "r"(b));
    return difference;
}

static inline uint32_t ggdq_max_s8(uint32_t a, uint32_t b)
{
    uint32_t difference;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(difference) : "r"(a), "r"(b));
    return difference;
}
#endif

#endif
