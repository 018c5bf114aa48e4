/* STM32L0: HSI 16 MHz * 4 / 2 = 32 MHz at voltage range 1; the reset clock is the MSI at 2.1 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x0C,
    RCC_APB1ENR = RCC + 0x38,
    PWR_CR = 0x40007000,
    PWR_CSR = 0x40007004,
    FLASH_ACR = 0x40022000,
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR, 1u << 28); /* PWR */
    set_field(PWR_CR, 3u << 11, 1u << 11);
    if (!wait_until(PWR_CSR, 1u << 4, 0)) {
        return false;
    }
    set_bits(RCC_CR, 1u << 0); /* HSI on */
    if (!wait_until(RCC_CR, 1u << 2, 1u << 2)) {
        return false;
    }
    set_field(RCC_CFGR, 3u << 22 | 15u << 18 | 1u << 16, 1u << 22 | 1u << 18);
    set_bits(RCC_CR, 1u << 24); /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    set_bits(FLASH_ACR, 3u); /* a wait state, prefetch */
    if (!wait_until(FLASH_ACR, 1u, 1u)) {
        return false;
    }
    set_field(RCC_CFGR, 3u, 3u); /* core = PLL */
    if (!wait_until(RCC_CFGR, 3u << 2, 3u << 2)) {
        set_field(RCC_CFGR, 3u, 0);
        return false;
    }
    return true;
}
