/* Arm's MPS2+ and MPS3 boards as the app sees them: the clock and the pins are there from reset. */
#include "board.h"
#include "cycle_counter.h"
#include "port.h"
#include "uart.h"

void port_start(void)
{
    uart_start(true);
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
    return BOARD_CLOCK_HZ;
}

uint64_t port_cycles(void)
{
    return cycle_counter_read();
}
