/* STM32G4: HSI 16 MHz / 4 * 85 / 2 = 170 MHz in the boosted range 1. */
#include "board.h"
#include "clock.h"
#include "clock_pll.h"

enum {
    PWR_CR5 = 0x40007080,

    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 34000000u,
    FLASH_CACHES = 7 << 8, /* prefetch, instruction and data cache */
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR1, 1u << 28); /* PWR */
    set_field(PWR_CR5, 1u << 8, 0);   /* boosted range 1 */
    return core_to_pll(4, BOARD_CLOCK_HZ / 2000000u, FLASH_WAIT_STATES | FLASH_CACHES, CLOCK_HSI);
}
