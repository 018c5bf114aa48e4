/* What the generated networks share: attributes and the few operations that C does not name. */
#ifndef GGDQ_RUNTIME_H
#define GGDQ_RUNTIME_H

#include <stdint.h>

/* The intrinsics of ACLE for saturation and for parts of words; GCC has them since version 10. */
#if defined(__ARM_FEATURE_SAT) && (defined(__clang__) || __GNUC__ >= 10)
#define GGDQ_ACLE
#include <arm_acle.h>
#endif

/* GCC 12 makes wrong masks of constant conditions when it vectorizes for Helium; kernels for that are assembly. */
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-vectorize")
#endif

#define GGDQ_NOINLINE __attribute__((noinline))

/* A layer is a function of its own in the firmware, under its own name and with all of its parameters, so that
 * profiles, stack figures and comparisons can look at it. GCC 12 must not carry the arena's addresses into the
 * kernels: where its loops then count from one tensor to the other, it holds a kernel that only writes for one without
 * effect. */
#ifdef __clang__
#define GGDQ_LAYER __attribute__((noinline))
#else
#define GGDQ_LAYER __attribute__((noipa))
#endif

/* A loop that copies words stays one: the C libraries of microcontrollers copy byte after byte. */
#ifdef __clang__
#define GGDQ_NO_MEMMOVE __attribute__((no_builtin("memcpy", "memmove")))
#else
#define GGDQ_NO_MEMMOVE __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

/* Requantization relies on the arithmetic right shift that all compilers for microcontrollers have. */
/* cppcheck-suppress shiftNegativeLHS */
_Static_assert((-3 >> 1) == -2, "signed right shift must be arithmetic");

/* `value`, or the bound that it lies beyond. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* GCC's own in __ssat */
static inline int32_t ggdq_clip(int32_t value, int32_t low, int32_t high)
{
#ifdef GGDQ_ACLE
    /* One instruction where the bounds are those of a byte; after inlining the conditions are constants. */
    if (low == 0 && high == 255) {
        return (int32_t)__usat(value, 8);
    }
    if (low == -128 && high == 127) {
        return __ssat(value, 8);
    }
#endif
    return value < low ? low : (value > high ? high : value);
}
#pragma GCC diagnostic pop

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

#endif
