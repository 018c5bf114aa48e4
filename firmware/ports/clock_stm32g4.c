/* STM32G4: HSI 16 MHz / 4 * 85 / 2 = 170 MHz in the boosted range 1. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x08,
    RCC_PLLCFGR = RCC + 0x0C,
    RCC_APB1ENR1 = RCC + 0x58,
    PWR_CR5 = 0x40007080,
    FLASH_ACR = 0x40022000,

    PLL_N = BOARD_CLOCK_HZ / 2000000u,
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 34000000u,
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_field(PWR_CR5, 1u << 8, 0);   /* boosted range 1 */
    REGISTER(RCC_PLLCFGR) = 2u | 3u << 4 | (uint32_t)PLL_N << 8 | 1u << 24;
    set_bits(RCC_CR, 1u << 24);       /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    REGISTER(FLASH_ACR) = (uint32_t)FLASH_WAIT_STATES | 7u << 8;
    if (!wait_until(FLASH_ACR, 15u, FLASH_WAIT_STATES)) {
        return false;
    }
    set_field(RCC_CFGR, 0xF0u, 8u << 4); /* a microsecond at half speed, as the boosted range wants */
    set_field(RCC_CFGR, 3u, 3u);         /* core = PLL */
    const bool switched = wait_until(RCC_CFGR, 3u << 2, 3u << 2);
    if (!switched) {
        set_field(RCC_CFGR, 3u, 1u);
    }
    for (volatile uint32_t i = 0; i < 100u; i++) {
    }
    set_field(RCC_CFGR, 0xF0u, 0);
    return switched;
}
