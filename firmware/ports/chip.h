/* What a chip needs before its serial port can be used. */
#ifndef GGDQ_CHIP_H
#define GGDQ_CHIP_H

#include <stdint.h>

/* Starts the clocks and connects the pins of the serial port. The clock then: BOARD_CLOCK_HZ or BOARD_RESET_CLOCK_HZ. */
uint32_t chip_start(void);

#endif
