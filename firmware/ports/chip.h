/* What a chip needs before its serial port can be used. */
#ifndef GGDQ_CHIP_H
#define GGDQ_CHIP_H

#include <stdbool.h>

/* Starts the clocks and connects the serial port's pins. False: the core runs at BOARD_RESET_CLOCK_HZ all the same. */
bool chip_start(void);

#endif
