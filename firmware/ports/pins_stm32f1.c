/* GPIO of the STM32F1: four bits a pin say mode and configuration; the serial port is where it is at reset. */
#include "board.h"
#include "pins.h"
#include "registers.h"

enum {
    GPIO_CRL = BOARD_GPIO_BASE + 0x00,
    GPIO_BSRR = BOARD_GPIO_BASE + 0x10,
    OUTPUT = 0x3, /* push-pull, up to 50 MHz */
    ALTERNATE_OUTPUT = 0xB, /* push-pull, up to 50 MHz */
    PULLED_INPUT = 0x8,
};

static void set_mode(uint32_t pin, uint32_t mode)
{
    const uint32_t shift = 4u * (pin % 8u);
    set_field(GPIO_CRL + 4u * (pin / 8u), 15u << shift, mode << shift);
}

void pins_connect(void)
{
    set_mode(BOARD_TX_PIN, ALTERNATE_OUTPUT);
    REGISTER(GPIO_BSRR) = 1u << BOARD_RX_PIN; /* pulled up: an open line is idle */
    set_mode(BOARD_RX_PIN, PULLED_INPUT);
}

#ifdef BOARD_PULSE_PIN
void pins_pulse_start(void)
{
    REGISTER(GPIO_BSRR) = 1u << BOARD_PULSE_PIN;
    set_mode(BOARD_PULSE_PIN, OUTPUT);
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
