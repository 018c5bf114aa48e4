#include "app.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "app_model.h"
#include "console.h"
#include "frame.h"
#include "port.h"

enum { PROTOCOL_VERSION = 2, CHUNKS = (APP_INPUT_BYTES + FRAME_CHUNK_BYTES - 1) / FRAME_CHUNK_BYTES };

static _Alignas(8) uint8_t inputs[APP_INPUT_BYTES];
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
static int answered = NO_SEQUENCE;          /* the request that was answered last */
static int receiving = NO_SEQUENCE;         /* the request whose inputs are arriving */
static uint8_t arrived[(CHUNKS + 7) / 8];   /* a bit for each chunk of them */
static int status;                          /* of the last run, and its time */
static uint32_t cycles;
static uint32_t layer_frames; /* that it sent */

int app_run(uint32_t *taken)
{
    *taken = 0;
    if (health != 0) {
        return health;
    }
    const uint64_t start = port_cycles();
    const int result = app_model_invoke(inputs, outputs);
    const uint64_t time = port_cycles() - start;
    *taken = time < UINT32_MAX ? (uint32_t)time : UINT32_MAX;
    return result;
}

uint8_t *app_inputs(void)
{
    receiving = NO_SEQUENCE; /* what frames brought is overwritten */
    return inputs;
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
    receiving = NO_SEQUENCE;
#ifdef GGDQ_TRACE
    const uint32_t can_trace = 1;
#else
    const uint32_t can_trace = 0;
#endif
    static const char name[] = APP_MODEL_NAME;
    frame_send_begin(FRAME_INFO_ANSWER, sequence, 0, 6 * 4 + sizeof name - 1);
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
    frame_send_begin(FRAME_ERROR, sequence, 0, 4);
    frame_send_u32((uint32_t)error);
    frame_send_end();
}

static bool has_arrived(size_t chunk)
{
    return (arrived[chunk / 8] & 1u << (chunk % 8)) != 0;
}

/* Says which chunks of the inputs have not come. Have all? */
static bool inputs_are_complete(uint8_t sequence)
{
    if (sequence != receiving) {
        receiving = sequence;
        memset(arrived, 0, sizeof arrived);
    }
    uint32_t missing[FRAME_MOST_MISSING];
    size_t count = 0;
    for (size_t chunk = 0; chunk < CHUNKS && count < FRAME_MOST_MISSING; chunk++) {
        if (!has_arrived(chunk)) {
            missing[count] = (uint32_t)(chunk * FRAME_CHUNK_BYTES);
            count++;
        }
    }
    if (count == 0) {
        return true;
    }
    frame_send_begin(FRAME_ERROR, sequence, 0, 4 + 4 * count);
    frame_send_u32(FRAME_ERROR_MISSING);
    for (size_t i = 0; i < count; i++) {
        frame_send_u32(missing[i]);
    }
    frame_send_end();
    return false;
}

static void take_input(const frame_t *frame)
{
    const uint32_t left = frame->offset < APP_INPUT_BYTES ? APP_INPUT_BYTES - frame->offset : 0;
    const uint32_t wanted = left < FRAME_CHUNK_BYTES ? left : FRAME_CHUNK_BYTES;
    if (frame->offset % FRAME_CHUNK_BYTES != 0 || wanted == 0 || frame->length != wanted) {
        answer_error(frame->sequence, FRAME_ERROR_LENGTH);
        return;
    }
    if (frame->sequence != receiving) {
        receiving = frame->sequence;
        memset(arrived, 0, sizeof arrived);
    }
    const size_t chunk = frame->offset / FRAME_CHUNK_BYTES;
    memcpy(inputs + frame->offset, frame->payload, frame->length);
    arrived[chunk / 8] = (uint8_t)(arrived[chunk / 8] | 1u << (chunk % 8));
}

static void send_outputs(uint8_t sequence, uint32_t from, uint32_t end)
{
    while (from < end) {
        const uint32_t length = end - from < FRAME_ANSWER_BYTES ? end - from : FRAME_ANSWER_BYTES;
        frame_send_begin(FRAME_OUTPUT, sequence, from, 16 + length);
        frame_send_u32((uint32_t)status);
        frame_send_u32(cycles);
        frame_send_u32(APP_OUTPUT_BYTES);
        frame_send_u32(layer_frames);
        frame_send_bytes(outputs + from, length);
        frame_send_end();
        from += length;
    }
}

/* A stream takes a frame once, however often it is asked for because the answer was lost on the way. */
static void answer_run(uint8_t sequence)
{
    if (!APP_STREAMS || answered != sequence) {
        if (!inputs_are_complete(sequence)) {
            return;
        }
        layer_frames = 0;
        status = app_run(&cycles);
        answered = sequence;
    }
    send_outputs(sequence, 0, APP_OUTPUT_BYTES);
}

static void answer_read(const frame_t *frame)
{
    const uint32_t bytes = frame->length == 4 ? frame_load_u32(frame->payload) : 0;
    if (bytes == 0 || frame->offset >= APP_OUTPUT_BYTES || bytes > APP_OUTPUT_BYTES - frame->offset) {
        answer_error(frame->sequence, FRAME_ERROR_LENGTH);
    } else if (answered != frame->sequence) {
        answer_run(frame->sequence); /* the run itself was lost */
    } else {
        send_outputs(frame->sequence, frame->offset, frame->offset + bytes);
    }
}

#ifdef GGDQ_TRACE
static bool tracing;
static uint8_t traced_sequence;

/* Called by the network after each layer. */
void APP_MODEL_TRACE(int layer, const void *data, size_t bytes)
{
    const uint8_t *next = data;
    while (tracing && bytes > 0) {
        const size_t length = bytes < FRAME_ANSWER_BYTES ? bytes : FRAME_ANSWER_BYTES;
        frame_send_begin(FRAME_LAYER, traced_sequence, layer_frames, 4 + length);
        frame_send_u32((uint32_t)layer);
        frame_send_bytes(next, length);
        frame_send_end();
        layer_frames++;
        next += length;
        bytes -= length;
    }
}

static void answer_trace(const frame_t *frame)
{
    tracing = true;
    traced_sequence = frame->sequence;
    answer_run(frame->sequence);
    tracing = false;
}
#else
static void answer_trace(const frame_t *frame)
{
    answer_error(frame->sequence, FRAME_ERROR_TYPE);
}
#endif

static bool takes_nothing(uint8_t type)
{
    return type == FRAME_INFO || type == FRAME_RUN || type == FRAME_TRACE;
}

static void answer(const frame_t *frame)
{
    if (frame->corrupt) {
        if (frame->type != FRAME_INPUT) { /* a chunk that is missing is named when the network shall run */
            answer_error(frame->sequence, FRAME_ERROR_CORRUPT);
        }
    } else if (frame->payload == NULL || (frame->length != 0 && takes_nothing(frame->type))) {
        answer_error(frame->sequence, FRAME_ERROR_LENGTH);
    } else if (frame->type == FRAME_INFO) {
        answer_info(frame->sequence);
    } else if (frame->type == FRAME_INPUT) {
        take_input(frame);
    } else if (frame->type == FRAME_RUN) {
        answer_run(frame->sequence);
    } else if (frame->type == FRAME_READ) {
        answer_read(frame);
    } else if (frame->type == FRAME_TRACE) {
        answer_trace(frame);
    } else {
        answer_error(frame->sequence, FRAME_ERROR_TYPE);
    }
}

static void answer_all(void)
{
    frame_t frame;
    while (frame_next(&frame)) {
        answer(&frame);
        frame_release();
    }
}

/* Nothing has come. A frame that has begun is given up where that lasts. */
static void give_up(bool *silent)
{
    static uint64_t since;
    if (frame_idle()) {
        return;
    }
    const uint64_t now = port_cycles();
    if (!*silent) {
        *silent = true;
        since = now;
    } else if (now - since > (uint64_t)(port_clock_hz() / 1000u) * FRAME_SILENCE_MS) {
        frame_cut();
        answer_all();
        *silent = false;
    } else {
        /* The line may only be slow. */
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
    static bool silent;
    app_watchdog();
    const int byte = port_read();
    if (byte < 0) {
        give_up(&silent);
        return;
    }
    silent = false;
    if (frame_idle() && byte != FRAME_MAGIC_0) {
        console_receive((uint8_t)byte);
        return;
    }
    frame_receive((uint8_t)byte);
    answer_all();
}
