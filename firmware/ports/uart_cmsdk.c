/* The UART of Arm's own boards and of the machines that QEMU models after them. */
#include "board.h"
#include "registers.h"
#include "uart.h"

enum {
    DATA = BOARD_UART_BASE + 0x00,
    STATE = BOARD_UART_BASE + 0x04,
    CTRL = BOARD_UART_BASE + 0x08,
    BAUDDIV = BOARD_UART_BASE + 0x10,
    SEND_FULL = 1 << 0,
    RECEIVED = 1 << 1,
};

void uart_start(bool full_speed)
{
    REGISTER(BAUDDIV) = BOARD_UART_RESET_DIVIDER;
    if (full_speed) {
        REGISTER(BAUDDIV) = BOARD_UART_DIVIDER;
    }
    REGISTER(CTRL) = 3u; /* transmitter, receiver */
}

int uart_read(void)
{
    return (REGISTER(STATE) & RECEIVED) != 0 ? (int)(REGISTER(DATA) & 0xFFu) : -1;
}

void uart_write(uint8_t byte)
{
    while ((REGISTER(STATE) & SEND_FULL) != 0) {
    }
    REGISTER(DATA) = byte;
}
