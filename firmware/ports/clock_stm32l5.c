/* STM32L5: HSI 16 MHz / 4 * 55 / 2 = 110 MHz at voltage range 0; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "clock_pll.h"

enum {
    PWR_CR1 = 0x40007000,
    PWR_CR2 = 0x40007004,
    PWR_SR2 = 0x40007014,
    ICACHE_CR = 0x40030400,

    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 20000000u,
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_bits(PWR_CR2, 1u << 9);       /* the supply of port G is valid: the serial port is there */
    set_field(PWR_CR1, 3u << 9, 0);   /* range 0 */
    if (!wait_until(PWR_SR2, 1u << 10, 0) || !hsi_start()) {
        return false;
    }
    if (!core_to_pll(4, BOARD_CLOCK_HZ / 2000000u, FLASH_WAIT_STATES, CLOCK_MSI)) {
        return false;
    }
    set_bits(ICACHE_CR, 1u);
    return true;
}
