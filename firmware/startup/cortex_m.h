/* Registers that every Cortex-M has. */
#ifndef GGDQ_CORTEX_M_H
#define GGDQ_CORTEX_M_H

#include <stdint.h>

#define CORE_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The core calls it when SysTick wraps: the cycle counter's. */
void systick_handler(void);

static inline void synchronize(void)
{
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}

#endif
