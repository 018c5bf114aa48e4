/* An STM32 as the app sees it: clock, two pins, a serial port, the core's cycle counter. */
#include "port.h"

#include "board.h"
#include "clock.h"
#include "cycle_counter.h"
#include "pins.h"
#include "registers.h"
#include "uart.h"

static uint32_t clock_hz;

void port_start(void)
{
    const bool full_speed = clock_start();
    clock_hz = full_speed ? BOARD_CLOCK_HZ : BOARD_RESET_CLOCK_HZ;
    set_bits(BOARD_GPIO_ENABLE_REGISTER, 1u << BOARD_GPIO_ENABLE_BIT);
    set_bits(BOARD_UART_ENABLE_REGISTER, 1u << BOARD_UART_ENABLE_BIT);
    (void)REGISTER(BOARD_UART_ENABLE_REGISTER); /* the gate opens before the next access */
    pins_connect();
    uart_start(full_speed);
    cycle_counter_start();
}

int port_read(void)
{
    return uart_read();
}

void port_write(uint8_t byte)
{
    uart_write(byte);
}

uint32_t port_clock_hz(void)
{
    return clock_hz;
}

uint64_t port_cycles(void)
{
    return cycle_counter_read();
}
