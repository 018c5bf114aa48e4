/* The machine timer of a core-local interruptor where QEMU's machines have it; it counts at BOARD_CLOCK_HZ. */
#include "cycle_counter.h"

#define MTIME_LOW (*(volatile uint32_t *)0x0200BFF8u)
#define MTIME_HIGH (*(volatile uint32_t *)0x0200BFFCu)

static uint64_t first;

static uint64_t now(void)
{
    uint32_t high;
    uint32_t low;
    do {
        high = MTIME_HIGH;
        low = MTIME_LOW;
    } while (high != MTIME_HIGH);
    return (uint64_t)high << 32 | low;
}

void cycle_counter_start(void)
{
    first = now();
}

uint64_t cycle_counter_read(void)
{
    return now() - first;
}
