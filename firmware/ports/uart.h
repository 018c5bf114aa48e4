/* The serial port of the board: 8 data bits, no parity, one stop bit. */
#ifndef GGDQ_UART_H
#define GGDQ_UART_H

#include <stdbool.h>
#include <stdint.h>

/* full_speed: which of the two clocks of board.h feeds the port. */
void uart_start(bool full_speed);
int uart_read(void);
void uart_write(uint8_t byte);

#endif
