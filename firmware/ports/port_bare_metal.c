/* A board without a framework as the app sees it: the chip, a serial port, the core's cycle counter. */
#include "port.h"

#include "board.h"
#include "chip.h"
#include "cycle_counter.h"
#include "uart.h"

static uint32_t clock_hz;

void port_start(void)
{
    const bool full_speed = chip_start();
    clock_hz = full_speed ? BOARD_CLOCK_HZ : BOARD_RESET_CLOCK_HZ;
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
