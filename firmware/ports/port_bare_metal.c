/* A board without a framework as the app sees it: the chip, a serial port, the core's cycle counter. */
#include "port.h"

#include "board.h"
#include "chip.h"
#include "cycle_counter.h"
#include "pins.h"
#include "uart.h"

static uint32_t clock_hz;

void port_start(void)
{
    clock_hz = chip_start();
    uart_start(clock_hz == BOARD_CLOCK_HZ);
    cycle_counter_start();
#ifdef BOARD_PULSE_PIN
    pins_pulse_start();
#endif
}

#ifdef BOARD_PULSE_PIN
void port_pulse(void)
{
    pins_pulse();
}
#endif

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
