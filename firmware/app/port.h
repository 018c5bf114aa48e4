/* What the app needs of a board. Implemented once a kind of hardware, in firmware/ports and firmware/host. */
#ifndef GGDQ_PORT_H
#define GGDQ_PORT_H

#include <stdint.h>

/* Starts the clocks, the serial port and the cycle counter. */
void port_start(void);

/* The next byte from the serial port, or -1 if none has arrived. */
int port_read(void);

/* Sends one byte; waits while the transmitter is busy. */
void port_write(uint8_t byte);

/* The clock that port_timer_cycles counts, in Hz, as it really runs. */
uint32_t port_clock_hz(void);

/* Cycles since port_timer_start; 0 where nothing counts (some emulators). */
void port_timer_start(void);
uint32_t port_timer_cycles(void);

#endif
