/* STM32F4 and STM32F7 (the same clock tree): HSI 16 MHz / 8 * N / 2 = N MHz, over-drive for the full speed. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    RCC = 0x40023800,
    RCC_CR = RCC + 0x00,
    RCC_PLLCFGR = RCC + 0x04,
    RCC_CFGR = RCC + 0x08,
    RCC_APB1ENR = RCC + 0x40,
    PWR_CR = 0x40007000,
    PWR_CSR = 0x40007004,
    FLASH_ACR = 0x40023C00,

    PLL_N = BOARD_CLOCK_HZ / 1000000u,
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 30000000u,
#ifdef BOARD_CORE_CORTEX_M7
    FLASH_CACHES = 3 << 8, /* prefetch, ART */
#else
    FLASH_CACHES = 7 << 8, /* prefetch, instruction and data cache */
#endif
};

bool clock_start(void)
{
    set_bits(RCC_APB1ENR, 1u << 28);  /* PWR */
    set_bits(PWR_CR, 3u << 14);       /* voltage scale 1 */
    REGISTER(RCC_PLLCFGR) = 8u | (uint32_t)PLL_N << 6 | 8u << 24 | 2u << 28;
    set_bits(RCC_CR, 1u << 24);       /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    set_bits(PWR_CR, 1u << 16);       /* over-drive, then switch to it */
    if (!wait_until(PWR_CSR, 1u << 16, 1u << 16)) {
        return false;
    }
    set_bits(PWR_CR, 1u << 17);
    if (!wait_until(PWR_CSR, 1u << 17, 1u << 17)) {
        return false;
    }
    REGISTER(FLASH_ACR) = (uint32_t)FLASH_WAIT_STATES | FLASH_CACHES;
    if (!wait_until(FLASH_ACR, 15u, FLASH_WAIT_STATES)) {
        return false;
    }
    set_field(RCC_CFGR, 0xFC00u, 5u << 10 | 4u << 13); /* APB1 = core / 4, APB2 = core / 2 */
    set_field(RCC_CFGR, 3u, 2u);                       /* core = PLL */
    if (!wait_until(RCC_CFGR, 3u << 2, 2u << 2)) {
        set_field(RCC_CFGR, 0xFC03u, 0);
        return false;
    }
    return true;
}
