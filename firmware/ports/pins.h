/* The pins of the serial port, and the one for the time. */
#ifndef GGDQ_PINS_H
#define GGDQ_PINS_H

/* Gives both pins to the serial port; the clock of their GPIO port is on. */
void pins_connect(void);

/* The pin for the time of energy runs, of the same GPIO port: an output that is high; a low pulse on it. */
void pins_pulse_start(void);
void pins_pulse(void);

#endif
