/* Runs the network on stored inputs and compares every output with the integer reference. */
#include <stdio.h>
#include <string.h>

#include "app_model.h"
#include "samples.h"

int main(void)
{
    static _Alignas(8) uint8_t outputs[APP_OUTPUT_BYTES];
    int failures = 0;
    for (int n = 0; n < SAMPLES; n++) {
        memset(outputs, 0, sizeof outputs);
        int status = -1;
        app_model_reset();
        for (int frame = 0; frame < APP_SAMPLE_FRAMES; frame++) {
            status = app_model_invoke(sample_inputs[n] + frame * APP_INPUT_BYTES, outputs);
        }
        size_t i = 0;
        while (i < sizeof outputs && outputs[i] == sample_outputs[n][i]) {
            i++;
        }
        if (status == APP_DONE && i == sizeof outputs) {
            printf("PASS sample_%d\n", n);
        } else {
            printf("FAIL sample_%d: status %d, first difference at byte %zu\n", n, status, i);
            failures++;
        }
    }
    puts("END");
    return failures == 0 ? 0 : 1;
}
