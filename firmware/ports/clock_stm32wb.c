/* STM32WB: HSI 16 MHz / 2 * 16 / 2 = 64 MHz, the radio's core at half of it; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x58000000,
    RCC_CR = RCC + 0x000,
    RCC_CFGR = RCC + 0x008,
    RCC_PLLCFGR = RCC + 0x00C,
    RCC_EXTCFGR = RCC + 0x108,
    FLASH_ACR = 0x58004000,

    PLL_N = BOARD_CLOCK_HZ / 4000000u,
    FLASH_WAIT_STATES = 3,
};

bool clock_start(void)
{
    set_bits(RCC_CR, 1u << 8); /* HSI on */
    if (!wait_until(RCC_CR, 1u << 10, 1u << 10)) {
        return false;
    }
    REGISTER(RCC_PLLCFGR) = 2u | 1u << 4 | (uint32_t)PLL_N << 8 | 1u << 28 | 1u << 29;
    set_bits(RCC_CR, 1u << 24); /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    set_field(FLASH_ACR, 7u, FLASH_WAIT_STATES);
    set_bits(FLASH_ACR, 7u << 8); /* prefetch, caches */
    if (!wait_until(FLASH_ACR, 7u, FLASH_WAIT_STATES)) {
        return false;
    }
    set_field(RCC_EXTCFGR, 15u << 4, 8u << 4);
    set_field(RCC_CFGR, 3u, 3u); /* core = PLL */
    if (!wait_until(RCC_CFGR, 3u << 2, 3u << 2)) {
        set_field(RCC_CFGR, 3u, 0);
        return false;
    }
    return true;
}
