/* The host as a board: the serial port is standard input and output; the app ends with its input. */
#define _POSIX_C_SOURCE 199309L /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): POSIX names it so */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "port.h"

enum { WAIT_MS = 50 }; /* for a byte, before the app is told that none has come */

void port_start(void)
{
}

int port_read(void)
{
    static uint8_t bytes[4096];
    static ssize_t count;
    static ssize_t next;
    if (next >= count) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        (void)fflush(stdout);
        if (poll(&input, 1, WAIT_MS) == 0) {
            return -1;
        }
        count = read(STDIN_FILENO, bytes, sizeof bytes);
        next = 0;
        if (count <= 0) {
            exit(0);
        }
    }
    return bytes[next++];
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
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}
