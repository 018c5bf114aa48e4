#include "app.h"

#include <stdbool.h>
#include <stddef.h>

#include "app_model.h"
#include "console.h"
#include "frame.h"
#include "port.h"

enum { PROTOCOL_VERSION = 1 };

static _Alignas(8) uint8_t outputs[APP_OUTPUT_BYTES];
static int health; /* what the self-test returned at the start */

/* A firmware that has a watchdog gives an app_watchdog of its own. */
__attribute__((weak)) void app_watchdog(void)
{
}

#ifdef GGDQ_WATCHDOG
/* Called by the network after each layer. */
void APP_MODEL_WATCHDOG(void)
{
    app_watchdog();
}
#endif

/* Where the build asked for a self-test and knows the board's flash, image_crc.c has another one. */
__attribute__((weak)) bool app_image_is_whole(void)
{
    return true;
}

bool app_is_whole(void)
{
    return health == 0;
}

enum { NO_SEQUENCE = -1 };
static int answered = NO_SEQUENCE; /* the request that was answered last */

int app_run(const uint8_t *inputs, uint32_t *cycles)
{
    *cycles = 0;
    if (health != 0) {
        return health;
    }
    const uint64_t start = port_cycles();
    const int status = app_model_invoke(inputs, outputs);
    const uint64_t taken = port_cycles() - start;
    *cycles = taken < UINT32_MAX ? (uint32_t)taken : UINT32_MAX;
    return status;
}

const uint8_t *app_outputs(void)
{
    return outputs;
}

/* A conversation begins with it, and with it a new stream. */
static void answer_info(uint8_t sequence)
{
    app_model_reset();
    answered = NO_SEQUENCE;
#ifdef GGDQ_TRACE
    const uint32_t can_trace = 1;
#else
    const uint32_t can_trace = 0;
#endif
    static const char name[] = APP_MODEL_NAME;
    frame_send_begin(FRAME_INFO_ANSWER, sequence, 6 * 4 + sizeof name - 1);
    frame_send_u32(PROTOCOL_VERSION);
    frame_send_u32(APP_INPUT_BYTES);
    frame_send_u32(APP_OUTPUT_BYTES);
    frame_send_u32(APP_ARENA_BYTES);
    frame_send_u32(port_clock_hz());
    frame_send_u32(can_trace);
    frame_send_bytes(name, sizeof name - 1);
    frame_send_end();
}

static void answer_error(uint8_t sequence, enum frame_error error)
{
    frame_send_begin(FRAME_ERROR, sequence, 4);
    frame_send_u32((uint32_t)error);
    frame_send_end();
}

/* A stream takes a frame once, however often it is asked for because the answer was lost on the way. */
static void answer_run(const frame_t *frame)
{
    static uint32_t cycles;
    static int status;
    if (!APP_STREAMS || answered != frame->sequence) {
        status = app_run(frame->payload, &cycles);
        answered = frame->sequence;
    }
    frame_send_begin(FRAME_OUTPUT, frame->sequence, 8 + APP_OUTPUT_BYTES);
    frame_send_u32((uint32_t)status);
    frame_send_u32(cycles);
    frame_send_bytes(outputs, APP_OUTPUT_BYTES);
    frame_send_end();
}

#ifdef GGDQ_TRACE
static bool tracing;
static uint8_t traced_sequence;

/* Called by the network after each layer. */
void APP_MODEL_TRACE(int layer, const void *data, size_t bytes)
{
    if (tracing) {
        frame_send_begin(FRAME_LAYER, traced_sequence, 4 + bytes);
        frame_send_u32((uint32_t)layer);
        frame_send_bytes(data, bytes);
        frame_send_end();
    }
}

static void answer_trace(const frame_t *frame)
{
    tracing = true;
    traced_sequence = frame->sequence;
    answer_run(frame);
    tracing = false;
}
#else
static void answer_trace(const frame_t *frame)
{
    answer_error(frame->sequence, FRAME_ERROR_TYPE);
}
#endif

static void answer(const frame_t *frame)
{
    if (frame->corrupt) {
        answer_error(frame->sequence, FRAME_ERROR_CORRUPT);
    } else if (frame->type == FRAME_INFO) {
        answer_info(frame->sequence);
    } else if (frame->type != FRAME_RUN && frame->type != FRAME_TRACE) {
        answer_error(frame->sequence, FRAME_ERROR_TYPE);
    } else if (frame->length != APP_INPUT_BYTES) {
        answer_error(frame->sequence, FRAME_ERROR_LENGTH);
    } else if (frame->type == FRAME_RUN) {
        answer_run(frame);
    } else {
        answer_trace(frame);
    }
}

void app_start(void)
{
    port_start();
    health = app_image_is_whole() ? app_model_self_test() : -1;
    console_start();
}

void app_poll(void)
{
    app_watchdog();
    const int byte = port_read();
    if (byte < 0) {
        return;
    }
    if (frame_idle() && byte != FRAME_MAGIC_0) {
        console_receive((uint8_t)byte);
        return;
    }
    frame_receive((uint8_t)byte);
    frame_t frame;
    while (frame_next(&frame)) {
        answer(&frame);
        frame_release();
    }
}
