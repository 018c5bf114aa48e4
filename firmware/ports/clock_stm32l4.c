/* STM32L4 and L4+: HSI 16 MHz / 2 * N / 2, above 80 MHz in the boosted range; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x08,
    RCC_PLLCFGR = RCC + 0x0C,
    RCC_APB1ENR1 = RCC + 0x58,
    PWR_CR2 = 0x40007004,
    PWR_CR5 = 0x40007080,
    FLASH_ACR = 0x40022000,

    PLL_N = BOARD_CLOCK_HZ / 4000000u,
    BOOST = BOARD_CLOCK_HZ > 80000000u, /* L4+ only */
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / (BOOST ? 20000000u : 16000000u),
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_bits(PWR_CR2, 1u << 9);       /* the supply of port G is valid: the serial port is there */
    set_bits(RCC_CR, 1u << 8);        /* HSI on */
    if (!wait_until(RCC_CR, 1u << 10, 1u << 10)) {
        return false;
    }
    if (BOOST != 0) {
        set_field(PWR_CR5, 1u << 8, 0);
    }
    REGISTER(RCC_PLLCFGR) = 2u | 1u << 4 | (uint32_t)PLL_N << 8 | 1u << 24;
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
    if (!wait_until(RCC_CFGR, 3u << 2, 3u << 2)) {
        set_field(RCC_CFGR, 0xF3u, 0);
        return false;
    }
    for (volatile uint32_t i = 0; i < 100u; i++) {
    }
    set_field(RCC_CFGR, 0xF0u, 0);
    return true;
}
