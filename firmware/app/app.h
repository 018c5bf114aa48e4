/* The app: reads inputs from the serial port, runs the network, answers with its outputs and the time it took.
 *
 * It speaks frames (frame.h) to a program. Bytes outside frames go to the console (console.h).
 */
#ifndef GGDQ_APP_H
#define GGDQ_APP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the board, has the network test itself where the build asked for that, and greets. */
void app_start(void);

/* Takes what has arrived at the serial port, and answers. Returns at once where nothing has. */
void app_poll(void);

/* Did the network pass its self-test? Where it did not, it never runs. */
bool app_is_whole(void);

/* Has the flash the CRC that was stored when it was linked? True where nothing was stored (no build --self-test). */
bool app_image_is_whole(void);

/* Called in each turn of the app's loop and, where the firmware is compiled with GGDQ_WATCHDOG, after each layer. It does
 * nothing; a firmware that has a watchdog defines another one, which feeds it. */
void app_watchdog(void);

/* The inputs of the next run, for whoever writes them otherwise than by frames (zeros at first). */
uint8_t *app_inputs(void);

/* Runs the network on the inputs: negative is failure. *taken is the time in cycles of port_cycles. */
int app_run(uint32_t *taken);

/* The outputs of the last run. */
const uint8_t *app_outputs(void);

#ifdef __cplusplus
}
#endif

#endif
