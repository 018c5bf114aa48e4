#include "print.h"

#include <stddef.h>

#include "port.h"

void print_text(const char *text)
{
    while (*text != '\0') {
        port_write((uint8_t)*text++);
    }
}

/* At least so many digits, with zeros in front. */
static void print_digits(uint64_t value, size_t least)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0 || count < least);
    while (count > 0) {
        port_write((uint8_t)digits[--count]);
    }
}

static uint64_t print_sign(int64_t value)
{
    if (value < 0) {
        port_write('-');
        return 0u - (uint64_t)value;
    }
    return (uint64_t)value;
}

void print_number(int64_t value)
{
    print_digits(print_sign(value), 1);
}

void print_millionths(int64_t millionths)
{
    const uint64_t magnitude = print_sign(millionths);
    print_digits(magnitude / 1000000u, 1);
    port_write('.');
    print_digits(magnitude % 1000000u, 6);
}

void print_byte(uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    port_write((uint8_t)digits[byte >> 4]);
    port_write((uint8_t)digits[byte & 15u]);
}
