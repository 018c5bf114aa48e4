/* The clock registers that STM32G4, L4 and L5 have in common, and the way onto the PLL: HSI 16 MHz / M * N / 2. */
#ifndef GGDQ_CLOCK_PLL_H
#define GGDQ_CLOCK_PLL_H

#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x08,
    RCC_PLLCFGR = RCC + 0x0C,
    RCC_APB1ENR1 = RCC + 0x58,
    FLASH_ACR = 0x40022000,
};

/* Values of RCC_CFGR's field for the core's clock. */
enum clock_source { CLOCK_MSI = 0, CLOCK_HSI = 1, CLOCK_PLL = 3 };

static inline bool hsi_start(void)
{
    set_bits(RCC_CR, 1u << 8);
    return wait_until(RCC_CR, 1u << 10, 1u << 10);
}

/* The core onto the PLL, with FLASH_ACR for its speed; back to the clock of the reset where something is not ready. */
static inline bool core_to_pll(uint32_t m, uint32_t n, uint32_t flash_acr, enum clock_source reset_clock)
{
    REGISTER(RCC_PLLCFGR) = 2u | (m - 1u) << 4 | n << 8 | 1u << 24; /* from the HSI, output R */
    set_bits(RCC_CR, 1u << 24);                                     /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    REGISTER(FLASH_ACR) = flash_acr;
    if (!wait_until(FLASH_ACR, 15u, flash_acr & 15u)) {
        return false;
    }
    set_field(RCC_CFGR, 0xF0u, 8u << 4); /* a microsecond at half speed, as the highest voltage ranges want */
    set_field(RCC_CFGR, 3u, CLOCK_PLL);
    if (!wait_until(RCC_CFGR, 3u << 2, (uint32_t)CLOCK_PLL << 2)) {
        set_field(RCC_CFGR, 0xF3u, (uint32_t)reset_clock);
        return false;
    }
    for (volatile uint32_t i = 0; i < 100u; i++) {
    }
    set_field(RCC_CFGR, 0xF0u, 0);
    return true;
}

#endif
