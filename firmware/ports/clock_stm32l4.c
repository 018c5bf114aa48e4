/* STM32L4 and L4+: HSI 16 MHz / 2 * N / 2, above 80 MHz in the boosted range; the reset clock is the MSI at 4 MHz. */
#include "board.h"
#include "clock.h"
#include "clock_pll.h"

enum {
    PWR_CR2 = 0x40007004,
    PWR_CR5 = 0x40007080,

    BOOST = BOARD_CLOCK_HZ > 80000000u, /* L4+ only */
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / (BOOST ? 20000000u : 16000000u),
    FLASH_CACHES = 7 << 8, /* prefetch, instruction and data cache */
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_bits(PWR_CR2, 1u << 9);       /* the supply of port G is valid: the serial port is there */
    if (!hsi_start()) {
        return false;
    }
    if (BOOST != 0) {
        set_field(PWR_CR5, 1u << 8, 0);
    }
    return core_to_pll(2, BOARD_CLOCK_HZ / 4000000u, FLASH_WAIT_STATES | FLASH_CACHES, CLOCK_MSI);
}
