/* A chip whose clock and pins are there from reset: emulated machines. */
#include "board.h"
#include "chip.h"

uint32_t chip_start(void)
{
    return BOARD_CLOCK_HZ;
}
