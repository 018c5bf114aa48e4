/* The clock tree: the internal oscillator feeds the PLL, so that no crystal is needed. */
#ifndef GGDQ_CLOCK_H
#define GGDQ_CLOCK_H

#include <stdbool.h>

/* Brings the core to BOARD_CLOCK_HZ. False: the core still runs on the oscillator of the reset, at
 * BOARD_RESET_CLOCK_HZ, because a clock or a voltage did not get ready. */
bool clock_start(void);

#endif
