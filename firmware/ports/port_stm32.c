/* An STM32 as the app sees it: clock, two pins, a serial port, the core's cycle counter. */
#include "port.h"

#include "board.h"
#include "clock.h"
#include "cycle_counter.h"
#include "registers.h"
#include "uart.h"

enum {
    GPIO_MODER = BOARD_GPIO_BASE + 0x00,
    GPIO_PUPDR = BOARD_GPIO_BASE + 0x0C,
    GPIO_AFR = BOARD_GPIO_BASE + 0x20,
};

static uint32_t clock_hz;

static void connect_pin(uint32_t pin)
{
    set_field(GPIO_AFR + 4u * (pin / 8u), 15u << (4u * (pin % 8u)), BOARD_UART_ALTERNATE_FUNCTION << (4u * (pin % 8u)));
    set_field(GPIO_PUPDR, 3u << (2u * pin), 1u << (2u * pin)); /* pulled up: an open line is idle */
    set_field(GPIO_MODER, 3u << (2u * pin), 2u << (2u * pin)); /* alternate function */
}

void port_start(void)
{
    const bool full_speed = clock_start();
    clock_hz = full_speed ? BOARD_CLOCK_HZ : BOARD_RESET_CLOCK_HZ;
    set_bits(BOARD_GPIO_ENABLE_REGISTER, 1u << BOARD_GPIO_ENABLE_BIT);
    set_bits(BOARD_UART_ENABLE_REGISTER, 1u << BOARD_UART_ENABLE_BIT);
    (void)REGISTER(BOARD_UART_ENABLE_REGISTER); /* the gate opens before the next access */
    connect_pin(BOARD_TX_PIN);
    connect_pin(BOARD_RX_PIN);
    uart_start(full_speed);
    cycle_counter_enable();
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

void port_timer_start(void)
{
    cycle_counter_start();
}

uint32_t port_timer_cycles(void)
{
    return cycle_counter_read();
}
