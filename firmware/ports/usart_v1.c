/* The USART of STM32F1, F2, F4, L1: status and data registers SR and DR. */
#include "board.h"
#include "registers.h"
#include "uart.h"

enum {
    SR = BOARD_UART_BASE + 0x00,
    DR = BOARD_UART_BASE + 0x04,
    BRR = BOARD_UART_BASE + 0x08,
    CR1 = BOARD_UART_BASE + 0x0C,
    RECEIVED = 1 << 5,
    CAN_SEND = 1 << 7,
};

void uart_start(bool full_speed)
{
    REGISTER(BRR) = BOARD_UART_RESET_DIVIDER;
    if (full_speed) {
        REGISTER(BRR) = BOARD_UART_DIVIDER;
    }
    REGISTER(CR1) = 1u << 13 | 1u << 3 | 1u << 2; /* enable, transmitter, receiver */
}

int uart_read(void)
{
    /* Reading SR and then DR also clears an overrun. */
    return (REGISTER(SR) & RECEIVED) != 0 ? (int)(REGISTER(DR) & 0xFFu) : -1;
}

void uart_write(uint8_t byte)
{
    while ((REGISTER(SR) & CAN_SEND) == 0) {
    }
    REGISTER(DR) = byte;
}
