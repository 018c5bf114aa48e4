/* STM32H743: HSI 64 MHz / 4 * 50 / 2 = 400 MHz at voltage scale 1 (any revision), buses at 200 and 100 MHz. */
#include "board.h"
#include "clock.h"
#include "registers.h"

enum {
    PWR_CSR1 = 0x58024804,
    PWR_CR3 = 0x5802480C,
    PWR_D3CR = 0x58024818,
    RCC = 0x58024400,
    RCC_CR = RCC + 0x00,
    RCC_CFGR = RCC + 0x10,
    RCC_D1CFGR = RCC + 0x18,
    RCC_D2CFGR = RCC + 0x1C,
    RCC_D3CFGR = RCC + 0x20,
    RCC_PLLCKSELR = RCC + 0x28,
    RCC_PLLCFGR = RCC + 0x2C,
    RCC_PLL1DIVR = RCC + 0x30,
    FLASH_ACR = 0x52002000,

    PLL_N = BOARD_CLOCK_HZ / 8000000u,
};

static void reset_prescalers(void)
{
    REGISTER(RCC_D1CFGR) = 0;
    REGISTER(RCC_D2CFGR) = 0;
    REGISTER(RCC_D3CFGR) = 0;
}

bool clock_start(void)
{
    set_field(PWR_CR3, 7u, 2u); /* supply: LDO */
    if (!wait_until(PWR_CSR1, 1u << 13, 1u << 13)) {
        return false;
    }
    set_bits(PWR_D3CR, 3u << 14); /* voltage scale 1 */
    if (!wait_until(PWR_D3CR, 1u << 13, 1u << 13)) {
        return false;
    }
    REGISTER(RCC_PLLCKSELR) = 4u << 4;
    REGISTER(RCC_PLLCFGR) = 3u << 2 | 1u << 16; /* input 8 to 16 MHz, output P */
    REGISTER(RCC_PLL1DIVR) = (PLL_N - 1u) | 1u << 9 | 1u << 16 | 1u << 24;
    set_bits(RCC_CR, 1u << 24); /* PLL 1 on */
    if (!wait_until(RCC_CR, 1u << 25, 1u << 25)) {
        return false;
    }
    REGISTER(FLASH_ACR) = 2u | 2u << 4; /* wait states and programming delay for 200 MHz */
    if (!wait_until(FLASH_ACR, 15u, 2u)) {
        return false;
    }
    REGISTER(RCC_D1CFGR) = 8u | 4u << 4; /* AHB = core / 2, APBs half of it */
    REGISTER(RCC_D2CFGR) = 4u << 4 | 4u << 8;
    REGISTER(RCC_D3CFGR) = 4u << 4;
    set_field(RCC_CFGR, 7u, 3u); /* core = PLL 1 */
    if (!wait_until(RCC_CFGR, 7u << 3, 3u << 3)) {
        set_field(RCC_CFGR, 7u, 0);
        reset_prescalers();
        return false;
    }
    return true;
}
