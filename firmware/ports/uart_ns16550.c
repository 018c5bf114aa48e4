/* The 16550, the serial port of many RISC-V machines. */
#include "board.h"
#include "registers.h"
#include "uart.h"

#define BYTE_REGISTER(address) (*(volatile uint8_t *)(uintptr_t)(address))

enum {
    DATA = BOARD_UART_BASE + 0,
    DIVIDER_LOW = BOARD_UART_BASE + 0,  /* these two while the line control opens them */
    DIVIDER_HIGH = BOARD_UART_BASE + 1,
    FIFO_CONTROL = BOARD_UART_BASE + 2,
    LINE_CONTROL = BOARD_UART_BASE + 3,
    LINE_STATUS = BOARD_UART_BASE + 5,
    EIGHT_BITS = 3,
    DIVIDER_OPEN = 1 << 7,
    RECEIVED = 1 << 0,
    CAN_SEND = 1 << 5,
};

void uart_start(bool full_speed)
{
    const uint32_t divider = full_speed ? BOARD_UART_DIVIDER : BOARD_UART_RESET_DIVIDER;
    BYTE_REGISTER(LINE_CONTROL) = DIVIDER_OPEN | EIGHT_BITS;
    BYTE_REGISTER(DIVIDER_LOW) = (uint8_t)divider;
    BYTE_REGISTER(DIVIDER_HIGH) = (uint8_t)(divider >> 8);
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
