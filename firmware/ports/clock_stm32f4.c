/* STM32F4 and STM32F7 (the same clock tree): HSI 16 MHz / 8 * N / P, with over-drive above 168 MHz. */
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

    PLL_P = BOARD_CLOCK_HZ > 108000000u ? 2 : 4, /* keeps the oscillator in its range */
    PLL_N = PLL_P * (BOARD_CLOCK_HZ / 2000000u),
    VOLTAGE_SCALE = BOARD_CLOCK_HZ > 84000000u ? 3 : 2,
    OVER_DRIVE = BOARD_CLOCK_HZ > 168000000u,
    FLASH_WAIT_STATES = (BOARD_CLOCK_HZ - 1u) / 30000000u,
#ifdef BOARD_CORE_CORTEX_M7
    FLASH_CACHES = 3 << 8, /* prefetch, ART */
#else
    FLASH_CACHES = 7 << 8, /* prefetch, instruction and data cache */
#endif
};

static bool start_over_drive(void)
{
    set_bits(PWR_CR, 1u << 16);
    if (!wait_until(PWR_CSR, 1u << 16, 1u << 16)) {
        return false;
    }
    set_bits(PWR_CR, 1u << 17); /* switch to it */
    return wait_until(PWR_CSR, 1u << 17, 1u << 17);
}

bool clock_start(void)
{
    set_bits(RCC_APB1ENR, 1u << 28);  /* PWR */
    set_field(PWR_CR, 3u << 14, (uint32_t)VOLTAGE_SCALE << 14);
    REGISTER(RCC_PLLCFGR) = 8u | (uint32_t)PLL_N << 6 | (PLL_P / 2u - 1u) << 16 | 8u << 24 | 2u << 28;
    set_bits(RCC_CR, 1u << 24);       /* PLL on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    if (OVER_DRIVE && !start_over_drive()) {
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
