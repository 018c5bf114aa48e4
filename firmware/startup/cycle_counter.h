/* Counts core cycles: DWT where the core has it, else SysTick. */
#ifndef GGDQ_CYCLE_COUNTER_H
#define GGDQ_CYCLE_COUNTER_H

#include <stdint.h>

void cycle_counter_enable(void);
void cycle_counter_start(void);

/* Cycles since cycle_counter_start, modulo 2^32. */
uint32_t cycle_counter_read(void);

#endif
