/* GPIO of every STM32 but the F1. */
#include "board.h"
#include "pins.h"
#include "registers.h"

enum {
    GPIO_MODER = BOARD_GPIO_BASE + 0x00,
    GPIO_PUPDR = BOARD_GPIO_BASE + 0x0C,
    GPIO_BSRR = BOARD_GPIO_BASE + 0x18,
    GPIO_AFR = BOARD_GPIO_BASE + 0x20,
};

static void connect_pin(uint32_t pin)
{
    set_field(GPIO_AFR + 4u * (pin / 8u), 15u << (4u * (pin % 8u)), BOARD_UART_ALTERNATE_FUNCTION << (4u * (pin % 8u)));
    set_field(GPIO_PUPDR, 3u << (2u * pin), 1u << (2u * pin)); /* pulled up: an open line is idle */
    set_field(GPIO_MODER, 3u << (2u * pin), 2u << (2u * pin)); /* alternate function */
}

void pins_connect(void)
{
    connect_pin(BOARD_TX_PIN);
    connect_pin(BOARD_RX_PIN);
}

#ifdef BOARD_PULSE_PIN
void pins_pulse_start(void)
{
    REGISTER(GPIO_BSRR) = 1u << BOARD_PULSE_PIN;
    set_field(GPIO_MODER, 3u << (2u * BOARD_PULSE_PIN), 1u << (2u * BOARD_PULSE_PIN));
}

void pins_pulse(void)
{
    enum { READS = 200 }; /* each takes two cycles or more: above a microsecond at 400 MHz */
    REGISTER(GPIO_BSRR) = 1u << (BOARD_PULSE_PIN + 16u);
    for (int i = 0; i < READS; i++) {
        (void)REGISTER(GPIO_BSRR);
    }
    REGISTER(GPIO_BSRR) = 1u << BOARD_PULSE_PIN;
}
#endif
