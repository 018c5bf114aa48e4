/* STM32U5: HSI 16 MHz * 10 = 160 MHz at voltage range 1 with the booster; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x46020C00,
    RCC_CR = RCC + 0x00,
    RCC_CFGR1 = RCC + 0x1C,
    RCC_PLL1CFGR = RCC + 0x28,
    RCC_PLL1DIVR = RCC + 0x34,
    RCC_AHB3ENR = RCC + 0x94,
    PWR_VOSR = 0x4602080C,
    FLASH_ACR = 0x40022000,
    ICACHE_CR = 0x40030400,

    PLL_N = BOARD_CLOCK_HZ / 16000000u,
    FLASH_WAIT_STATES = 4,
};

bool clock_start(void)
{
    set_bits(RCC_AHB3ENR, 1u << 2); /* PWR */
    set_field(PWR_VOSR, 3u << 16, 3u << 16);
    if (!wait_until(PWR_VOSR, 1u << 15, 1u << 15)) {
        return false;
    }
    set_bits(RCC_CR, 1u << 8); /* HSI on */
    if (!wait_until(RCC_CR, 1u << 10, 1u << 10)) {
        return false;
    }
    REGISTER(RCC_PLL1CFGR) = 2u | 3u << 2 | 1u << 18; /* from the HSI, which feeds the booster too; output R */
    REGISTER(RCC_PLL1DIVR) = (PLL_N - 1u) | 1u << 9 | 1u << 16;
    set_bits(PWR_VOSR, 1u << 18); /* booster */
    if (!wait_until(PWR_VOSR, 1u << 14, 1u << 14)) {
        return false;
    }
    set_bits(RCC_CR, 1u << 24); /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    REGISTER(FLASH_ACR) = (uint32_t)FLASH_WAIT_STATES | 1u << 8; /* prefetch */
    if (!wait_until(FLASH_ACR, 15u, FLASH_WAIT_STATES)) {
        return false;
    }
    set_bits(ICACHE_CR, 1u);
    set_field(RCC_CFGR1, 3u, 3u); /* core = PLL */
    if (!wait_until(RCC_CFGR1, 3u << 2, 3u << 2)) {
        set_field(RCC_CFGR1, 3u, 0);
        return false;
    }
    return true;
}
