/* Counts cycles of the clock that the app names: on a Cortex-M the core's, by SysTick. */
#ifndef GGDQ_CYCLE_COUNTER_H
#define GGDQ_CYCLE_COUNTER_H

#include <stdint.h>

void cycle_counter_start(void);

/* Cycles since cycle_counter_start. */
uint64_t cycle_counter_read(void);

#endif
