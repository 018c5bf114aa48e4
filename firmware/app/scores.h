/* What the benchmark's runner is told of outputs, and the inputs that it sends, in integers throughout.
 *
 * Where the network ends in logits, the scores are their softmax. Of ad01 the inputs are float32 values, little-endian, which
 * are quantized here, and the only score is the mean squared difference of inputs and outputs.
 */
#ifndef GGDQ_SCORES_H
#define GGDQ_SCORES_H

#include <stddef.h>
#include <stdint.h>

#include "app_model.h"

#if APP_ANOMALY
#define SCORES_INPUT_BYTES (4 * APP_INPUT_ELEMENTS)
#define SCORES 1
#else
#define SCORES_INPUT_BYTES APP_INPUT_END
#define SCORES APP_OUTPUT_ELEMENTS
#endif

/* Where the bytes of the inputs are loaded. */
uint8_t *scores_inputs(void);

/* Makes the network's inputs of what was loaded. */
void scores_convert_inputs(void);

/* Takes the outputs of the last run; then score number i is there, in millionths. */
void scores_compute(void);
int64_t scores_millionths(size_t i);

#endif
