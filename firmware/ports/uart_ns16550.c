/* The 16550, the serial port of many RISC-V machines. */
#include "board.h"
#include "registers.h"
#include "uart.h"

#define BYTE_REGISTER(address) (*(volatile uint8_t *)(uintptr_t)(address))

enum {
    DATA = BOARD_UART_BASE,
    DIVIDER_LOW = DATA, /* this and the next while the line control opens them */
    DIVIDER_HIGH = BOARD_UART_BASE + 1,
    FIFO_CONTROL = BOARD_UART_BASE + 2,
    LINE_CONTROL = BOARD_UART_BASE + 3,
    LINE_STATUS = BOARD_UART_BASE + 5,
    EIGHT_BITS = 3,
    DIVIDER_OPEN = 1 << 7,
    RECEIVED = 1 << 0,
    CAN_SEND = 1 << 5,
};

/* Its clock is its own, whatever the core's. */
void uart_start(bool full_speed)
{
    (void)full_speed;
    BYTE_REGISTER(LINE_CONTROL) = DIVIDER_OPEN | EIGHT_BITS;
    BYTE_REGISTER(DIVIDER_LOW) = BOARD_UART_DIVIDER & 0xFFu;
    BYTE_REGISTER(DIVIDER_HIGH) = BOARD_UART_DIVIDER >> 8;
    BYTE_REGISTER(LINE_CONTROL) = EIGHT_BITS;
    BYTE_REGISTER(FIFO_CONTROL) = 1; /* FIFOs on */
}

int uart_read(void)
{
    return (BYTE_REGISTER(LINE_STATUS) & RECEIVED) != 0 ? BYTE_REGISTER(DATA) : -1;
}

void uart_write(uint8_t byte)
{
    while ((BYTE_REGISTER(LINE_STATUS) & CAN_SEND) == 0) {
    }
    BYTE_REGISTER(DATA) = byte;
}
