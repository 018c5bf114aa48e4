/* What the generated networks share: attributes and the few operations that C does not name. */
#ifndef GGDQ_RUNTIME_H
#define GGDQ_RUNTIME_H

#include <stdint.h>

/* A layer is a function of its own in the firmware, so that profiles and stack figures can name it. */
#define GGDQ_NOINLINE __attribute__((noinline))

/* A function in assembly alone. The compiler must not look inside: it would conclude that no register changes. */
#define GGDQ_UNUSED __attribute__((unused))
#ifdef __clang__
#define GGDQ_ASSEMBLY __attribute__((naked, noinline))
#else
#define GGDQ_ASSEMBLY __attribute__((naked, noinline, noipa))
#endif

/* Requantization relies on the arithmetic right shift that all compilers for microcontrollers have. */
_Static_assert((-3 >> 1) == -2, "signed right shift must be arithmetic");

static inline int32_t ggdq_clip(int32_t value, int32_t low, int32_t high)
{
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

#endif
