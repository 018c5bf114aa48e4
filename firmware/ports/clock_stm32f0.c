/* STM32F0, STM32F1 and STM32F3: HSI 8 MHz / 2 * N, up to 64 MHz without a crystal. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x04,
    FLASH_ACR = 0x40022000,

    PLL_N = BOARD_CLOCK_HZ / 4000000u,
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 24000000u,
    APB1_PRESCALER = BOARD_CLOCK_HZ > 48000000u ? 4 : 0, /* the half, where the full clock is too fast for it */
};

bool clock_start(void)
{
    set_field(FLASH_ACR, 7u, FLASH_WAIT_STATES);
    set_bits(FLASH_ACR, 1u << 4); /* prefetch */
    set_field(RCC_CFGR, 15u << 18 | 3u << 15 | 7u << 8, (PLL_N - 2u) << 18 | (uint32_t)APB1_PRESCALER << 8);
    set_bits(RCC_CR, 1u << 24); /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        set_field(RCC_CFGR, 7u << 8, 0);
        return false;
    }
    set_field(RCC_CFGR, 3u, 2u); /* core = PLL */
    if (!wait_until(RCC_CFGR, 3u << 2, 2u << 2)) {
        set_field(RCC_CFGR, 7u << 8 | 3u, 0);
        return false;
    }
    return true;
}
