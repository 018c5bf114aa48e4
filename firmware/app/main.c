/* The app: reads inputs from the serial port, runs the network, answers with its outputs and the time it took.
 *
 * It speaks frames (frame.h) to a program, and a few words to a person at a terminal: "run", "info", "help".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "app_model.h"
#include "frame.h"
#include "port.h"

enum { PROTOCOL_VERSION = 1 };

static _Alignas(8) uint8_t outputs[APP_OUTPUT_BYTES];

static void print(const char *text)
{
    while (*text != '\0') {
        port_write((uint8_t)*text++);
    }
}

static void print_number(int32_t value)
{
    char digits[12];
    size_t i = sizeof digits;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    digits[--i] = '\0';
    do {
        digits[--i] = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0);
    if (value < 0) {
        digits[--i] = '-';
    }
    print(digits + i);
}

static void print_info(void)
{
    print("ggdq-mcu: network \"" APP_MODEL_NAME "\", input ");
    print_number(APP_INPUT_BYTES);
    print(" bytes, output ");
    print_number(APP_OUTPUT_BYTES);
    print(" bytes, arena ");
    print_number(APP_ARENA_BYTES);
    print(" bytes. Type help.\r\n");
}

/* Runs the network; *cycles is what it took. */
static int run(const uint8_t *inputs, uint32_t *cycles)
{
    port_timer_start();
    const int status = app_model_invoke(inputs, outputs);
    *cycles = port_timer_cycles();
    return status;
}

/* The last input is still in the receive buffer (zeros before the first one). */
static void run_for_a_person(void)
{
    uint32_t cycles = 0;
    const int status = run(frame_payload(), &cycles);
    print(status == 0 ? "outputs:" : "the network failed, outputs:");
    for (size_t i = 0; i < APP_OUTPUT_ELEMENTS; i++) {
        print(" ");
        print_number(app_model_output(outputs, i));
    }
    print("\r\ncycles: ");
    print_number((int32_t)(cycles & 0x7FFFFFFFu));
    print("\r\n");
}

static void obey_line(const char *line)
{
    if (strcmp(line, "run") == 0) {
        run_for_a_person();
    } else if (strcmp(line, "info") == 0) {
        print_info();
    } else if (strcmp(line, "help") == 0) {
        print("run: the network on the last input (zeros at first); info: what is on this board\r\n");
    }
}

/* Bytes outside frames: lines typed by a person. Longer lines than any command are forgotten. */
static void receive_text(uint8_t byte)
{
    static char line[8];
    static size_t length;
    if (byte == '\r' || byte == '\n') {
        line[length] = '\0';
        length = 0;
        obey_line(line);
    } else if (length < sizeof line - 1) {
        line[length++] = (char)byte;
    }
}

static void answer_info(uint8_t sequence)
{
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

static void answer_run(const frame_t *frame)
{
    uint32_t cycles = 0;
    const int status = run(frame->payload, &cycles);
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
#endif

static void answer(const frame_t *frame)
{
    if (frame->corrupt) {
        answer_error(frame->sequence, FRAME_ERROR_CORRUPT);
    } else if (frame->type == FRAME_INFO) {
        answer_info(frame->sequence);
    } else if (frame->type == FRAME_RUN || frame->type == FRAME_TRACE) {
        if (frame->length != APP_INPUT_BYTES) {
            answer_error(frame->sequence, FRAME_ERROR_LENGTH);
            return;
        }
#ifdef GGDQ_TRACE
        tracing = frame->type == FRAME_TRACE;
        traced_sequence = frame->sequence;
#else
        if (frame->type == FRAME_TRACE) {
            answer_error(frame->sequence, FRAME_ERROR_TYPE);
            return;
        }
#endif
        answer_run(frame);
    } else {
        answer_error(frame->sequence, FRAME_ERROR_TYPE);
    }
}

int main(void)
{
    port_start();
    print_info();
    for (;;) {
        frame_t frame;
        while (frame_next(&frame)) {
            answer(&frame);
            frame_release();
        }
        const int byte = port_read();
        if (byte < 0) {
            continue;
        }
        if (frame_idle() && byte != FRAME_MAGIC_0) {
            receive_text((uint8_t)byte);
        } else {
            frame_receive((uint8_t)byte);
        }
    }
}
