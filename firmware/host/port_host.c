/* The host as a board: the serial port is standard input and output; the app ends with its input. */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"

void port_start(void)
{
}

int port_read(void)
{
    fflush(stdout);
    const int byte = getchar();
    if (byte == EOF) {
        exit(0);
    }
    return byte;
}

void port_write(uint8_t byte)
{
    putchar(byte);
}

uint32_t port_clock_hz(void)
{
    return 0;
}

void port_timer_start(void)
{
}

uint32_t port_timer_cycles(void)
{
    return 0;
}
