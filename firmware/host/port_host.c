/* The host as a board: the serial port is standard input and output; the app ends with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "port.h"

void port_start(void)
{
}

int port_read(void)
{
    (void)fflush(stdout);
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
    return 1000000;
}

uint64_t port_cycles(void)
{
    return (uint64_t)clock() * 1000000u / (uint64_t)CLOCKS_PER_SEC;
}
