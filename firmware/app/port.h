/* What the app needs of a board. Implemented once a kind of hardware, in firmware/ports and firmware/host. */
#ifndef GGDQ_PORT_H
#define GGDQ_PORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the clocks, the serial port and the cycle counter. */
void port_start(void);

/* The next byte from the serial port, or -1 if none has arrived. */
int port_read(void);

/* Sends one byte; waits while the transmitter is busy. */
void port_write(uint8_t byte);

/* The clock that port_cycles counts, in Hz, as it really runs: a multiple of 1 MHz. */
uint32_t port_clock_hz(void);

/* Cycles since the start; stands still where nothing counts (some emulators). */
uint64_t port_cycles(void);

/* Pulls the pin that the build named (--energy-pin) low for at least a microsecond. Only where it named one. */
void port_pulse(void);

#ifdef __cplusplus
}
#endif

#endif
