/* The USART and LPUART of STM32F0, F3, F7, G0, G4, H7, L0, L4, L5, U5, WB: registers ISR, RDR, TDR. */
#include "board.h"
#include "registers.h"
#include "uart.h"

enum {
    CR1 = BOARD_UART_BASE + 0x00,
    CR3 = BOARD_UART_BASE + 0x08,
    BRR = BOARD_UART_BASE + 0x0C,
    ISR = BOARD_UART_BASE + 0x1C,
    RDR = BOARD_UART_BASE + 0x24,
    TDR = BOARD_UART_BASE + 0x28,
    RECEIVED = 1 << 5,
    CAN_SEND = 1 << 7,
};

void uart_start(bool full_speed)
{
    REGISTER(BRR) = BOARD_UART_RESET_DIVIDER;
    if (full_speed) {
        REGISTER(BRR) = BOARD_UART_DIVIDER;
    }
    REGISTER(CR3) = 1u << 12;                   /* an overrun loses a byte and does not stop the receiver */
    REGISTER(CR1) = 1u << 0 | 1u << 3 | 1u << 2; /* enable, transmitter, receiver */
}

int uart_read(void)
{
    return (REGISTER(ISR) & RECEIVED) != 0 ? (int)(REGISTER(RDR) & 0xFFu) : -1;
}

void uart_write(uint8_t byte)
{
    while ((REGISTER(ISR) & CAN_SEND) == 0) {
    }
    REGISTER(TDR) = byte;
}
