/* STM32L5: HSI 16 MHz / 4 * 55 / 2 = 110 MHz at voltage range 0; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40021000,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x08,
    RCC_PLLCFGR = RCC + 0x0C,
    RCC_APB1ENR1 = RCC + 0x58,
    PWR_CR1 = 0x40007000,
    PWR_CR2 = 0x40007004,
    PWR_SR2 = 0x40007014,
    FLASH_ACR = 0x40022000,
    ICACHE_CR = 0x40030400,

    PLL_N = BOARD_CLOCK_HZ / 2000000u,
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 20000000u,
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_bits(PWR_CR2, 1u << 9);       /* the supply of port G is valid: the serial port is there */
    set_field(PWR_CR1, 3u << 9, 0);   /* range 0 */
    if (!wait_until(PWR_SR2, 1u << 10, 0)) {
        return false;
    }
    set_bits(RCC_CR, 1u << 8);        /* HSI on */
    if (!wait_until(RCC_CR, 1u << 10, 1u << 10)) {
        return false;
    }
    REGISTER(RCC_PLLCFGR) = 2u | 3u << 4 | (uint32_t)PLL_N << 8 | 1u << 24;
    set_bits(RCC_CR, 1u << 24);       /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    set_field(FLASH_ACR, 15u, FLASH_WAIT_STATES);
    if (!wait_until(FLASH_ACR, 15u, FLASH_WAIT_STATES)) {
        return false;
    }
    set_bits(ICACHE_CR, 1u);
    set_field(RCC_CFGR, 0xF0u, 8u << 4); /* a microsecond at half speed, as range 0 wants */
    set_field(RCC_CFGR, 3u, 3u);         /* core = PLL */
    const bool switched = wait_until(RCC_CFGR, 3u << 2, 3u << 2);
    if (!switched) {
        set_field(RCC_CFGR, 3u, 0);
    }
    for (volatile uint32_t i = 0; i < 100u; i++) {
    }
    set_field(RCC_CFGR, 0xF0u, 0);
    return switched;
}
