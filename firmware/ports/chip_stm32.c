/* An STM32: its clock, the gates of GPIO and serial port, two pins. */
#include "board.h"
#include "chip.h"
#include "clock.h"
#include "pins.h"
#include "registers.h"

uint32_t chip_start(void)
{
    const uint32_t clock_hz = clock_start() ? BOARD_CLOCK_HZ : BOARD_RESET_CLOCK_HZ;
    set_bits(BOARD_GPIO_ENABLE_REGISTER, 1u << BOARD_GPIO_ENABLE_BIT);
    set_bits(BOARD_UART_ENABLE_REGISTER, 1u << BOARD_UART_ENABLE_BIT);
    (void)REGISTER(BOARD_UART_ENABLE_REGISTER); /* the gate opens before the next access */
    pins_connect();
    return clock_hz;
}
