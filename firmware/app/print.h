/* Text to the serial port. */
#ifndef GGDQ_PRINT_H
#define GGDQ_PRINT_H

#include <stdint.h>

void print_text(const char *text);
void print_number(int64_t value);

/* A number of millionths as a decimal: 1.250000. */
void print_millionths(int64_t millionths);

/* Two hexadecimal digits. */
void print_byte(uint8_t byte);

#endif
