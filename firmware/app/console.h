/* Who gets the bytes outside frames: a person at a terminal (console.c) or a benchmark's runner (mlperf_tiny.c). */
#ifndef GGDQ_CONSOLE_H
#define GGDQ_CONSOLE_H

#include <stdint.h>

/* Greets. */
void console_start(void);

/* Takes one byte. */
void console_receive(uint8_t byte);

#endif
