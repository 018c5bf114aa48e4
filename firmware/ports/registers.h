/* Access to device registers, and waiting for them without ever waiting for good. */
#ifndef GGDQ_REGISTERS_H
#define GGDQ_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

static inline void set_field(uintptr_t address, uint32_t mask, uint32_t value)
{
    REGISTER(address) = (REGISTER(address) & ~mask) | value;
}

static inline void set_bits(uintptr_t address, uint32_t bits)
{
    set_field(address, 0, bits);
}

/* Waits until the masked register has the value: milliseconds at the slowest clock, then false. */
static inline bool wait_until(uintptr_t address, uint32_t mask, uint32_t value)
{
    for (uint32_t tries = 0; tries < 20000u; tries++) {
        if ((REGISTER(address) & mask) == value) {
            return true;
        }
    }
    return false;
}

#endif
