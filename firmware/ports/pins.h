/* The pins of the serial port. */
#ifndef GGDQ_PINS_H
#define GGDQ_PINS_H

/* Gives both pins to the serial port; the clock of their GPIO port is on. */
void pins_connect(void);

#endif
