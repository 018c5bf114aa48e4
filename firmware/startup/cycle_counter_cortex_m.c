/* Core cycles by SysTick, which every Cortex-M and every emulator of one has. */
#include "cycle_counter.h"

#include "cortex_m.h"

#define SYSTICK_CTRL 0xE000E010u
#define SYSTICK_LOAD 0xE000E014u
#define SYSTICK_VAL 0xE000E018u

enum {
    SYSTICK_BITS = 24,
    SYSTICK_MAX = (1 << SYSTICK_BITS) - 1,
};

static volatile uint32_t wraps;

/* Once in 2^24 cycles: too rare to be seen in what is measured. */
void systick_handler(void)
{
    wraps++;
}

void cycle_counter_start(void)
{
    CORE_REGISTER(SYSTICK_LOAD) = SYSTICK_MAX;
    CORE_REGISTER(SYSTICK_VAL) = 0; /* any write clears it; the next tick loads it and interrupts nothing */
    CORE_REGISTER(SYSTICK_CTRL) = 7u; /* core clock, interrupt, on */
}

uint64_t cycle_counter_read(void)
{
    uint32_t before;
    uint32_t value;
    do {
        before = wraps;
        value = CORE_REGISTER(SYSTICK_VAL);
    } while (before != wraps);
    /* It counts down, and the interrupt comes when it reaches 0. */
    return ((uint64_t)before << SYSTICK_BITS) + ((0u - value) & SYSTICK_MAX);
}
