#include "cycle_counter.h"

#include <stdbool.h>

#include "cortex_m.h"

enum {
    DEMCR = 0xE000EDFC,
    DWT_CTRL = 0xE0001000,
    DWT_CYCCNT = 0xE0001004,
    DWT_LAR = 0xE0001FB0,
    SYSTICK_CTRL = 0xE000E010,
    SYSTICK_LOAD = 0xE000E014,
    SYSTICK_VAL = 0xE000E018,
    SYSTICK_MAX = 0xFFFFFF,
};

/* False on cores without the counter, and on emulators where it stands still. */
static bool has_dwt;
static uint32_t dwt_start;
static volatile uint32_t systick_wraps;

void systick_handler(void)
{
    systick_wraps++;
}

void cycle_counter_enable(void)
{
#if __ARM_ARCH >= 7 /* the M0+ may not touch its debug registers */
    CORE_REGISTER(DEMCR) |= 1u << 24;
    CORE_REGISTER(DWT_LAR) = 0xC5ACCE55u; /* the M7 locks it */
    CORE_REGISTER(DWT_CTRL) |= 1u;
    const uint32_t before = CORE_REGISTER(DWT_CYCCNT);
    has_dwt = CORE_REGISTER(DWT_CYCCNT) != before;
#endif
}

void cycle_counter_start(void)
{
    if (has_dwt) {
        dwt_start = CORE_REGISTER(DWT_CYCCNT);
        return;
    }
    CORE_REGISTER(SYSTICK_CTRL) = 0;
    CORE_REGISTER(SYSTICK_LOAD) = SYSTICK_MAX;
    CORE_REGISTER(SYSTICK_VAL) = 0; /* any write clears it; it loads at the first tick */
    systick_wraps = 0;
    CORE_REGISTER(SYSTICK_CTRL) = 7u; /* core clock, interrupt, on */
}

uint32_t cycle_counter_read(void)
{
    if (has_dwt) {
        return CORE_REGISTER(DWT_CYCCNT) - dwt_start;
    }
    uint32_t wraps;
    uint32_t value;
    do {
        wraps = systick_wraps;
        value = CORE_REGISTER(SYSTICK_VAL);
    } while (wraps != systick_wraps);
    /* It counts down from SYSTICK_MAX; 0 also where nothing counts. */
    return wraps * (SYSTICK_MAX + 1u) + (value == 0 ? 0u : SYSTICK_MAX - value);
}
