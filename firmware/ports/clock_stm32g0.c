/* STM32G0: HSI 16 MHz * 8 / 2 = 64 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x08,
    RCC_PLLCFGR = RCC + 0x0C,
    FLASH_ACR = 0x40022000,

    PLL_N = BOARD_CLOCK_HZ / 8000000u,
};

bool clock_start(void)
{
    REGISTER(RCC_PLLCFGR) = 2u | (uint32_t)PLL_N << 8 | 1u << 28 | 1u << 29;
    set_bits(RCC_CR, 1u << 24); /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    set_field(FLASH_ACR, 7u, 2u | 3u << 8); /* two wait states, prefetch, cache */
    if (!wait_until(FLASH_ACR, 7u, 2u)) {
        return false;
    }
    set_field(RCC_CFGR, 7u, 2u); /* core = PLL */
    if (!wait_until(RCC_CFGR, 7u << 3, 2u << 3)) {
        set_field(RCC_CFGR, 7u, 0);
        return false;
    }
    return true;
}
