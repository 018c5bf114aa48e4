/* The device's side of the MLPerf Tiny benchmark: commands that end with '%', answers that end with "m-ready".
 *
 * The inputs are bytes as the network wants them, so its input format must be the benchmark's; those of ad01 are float.
 * Results (scores.c) are probabilities, or the mean squared error of ad01. Of a stream an inference takes one frame.
 */
#include "console.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "app.h"
#include "app_model.h"
#include "port.h"
#include "print.h"
#include "scores.h"

enum { COMMAND_CHARACTERS = 80, DEFAULT_WARMUPS = 10, PRINTED_BYTES_A_LINE = 8 };

static size_t expected; /* bytes of the load that is announced, 0: none is */
static size_t loaded;   /* bytes of it that have come; the inputs hold so many */

/* The scores of the wake word since "start", the latest of them. */
enum { KEPT_ACTIVATIONS = 128, DETECTED_MILLIONTHS = 500000 };
static int32_t activations[KEPT_ACTIVATIONS];
static size_t activation_count;
static bool detecting;

static void print_line(const char *text)
{
    print_text(text);
    print_text("\r\n");
}

static void print_error(const char *what, const char *word)
{
    print_text("e-[");
    print_text(what);
    if (word != NULL) {
        print_text(": ");
        print_text(word);
    }
    print_line("]");
}

static void print_count(const char *before, int64_t count, const char *after)
{
    print_text(before);
    print_number(count);
    print_line(after);
}

/* A line with the time or, where energy is measured, a pulse on a pin. */
static void print_time(void)
{
#if APP_ENERGY
    port_pulse();
#else
    const uint32_t megahertz = port_clock_hz() / 1000000u;
    print_count("m-lap-us-", (int64_t)(port_cycles() / megahertz), "");
#endif
}

/* The next word of a command, which it ends with a zero; NULL where there is none. */
static char *next_word(char **rest)
{
    char *word = *rest;
    while (*word == ' ') {
        word++;
    }
    if (*word == '\0') {
        return NULL;
    }
    char *end = word;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* A decimal number that is an int32_t and nothing behind it. */
static bool parse_number(const char *word, int32_t *number)
{
    const bool negative = *word == '-';
    int32_t value = 0;
    word += negative;
    if (*word == '\0') {
        return false;
    }
    for (; *word != '\0'; word++) {
        const int32_t digit = *word - '0';
        if (digit < 0 || digit > 9 || value > (INT32_MAX - digit) / 10) {
            return false;
        }
        value = 10 * value + digit;
    }
    *number = negative ? -value : value;
    return true;
}

/* 0..15, or -1 where the character is no hexadecimal digit. */
static int hex_digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    const char small = (char)(character | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

static void load(const char *size)
{
    int32_t bytes;
    expected = 0;
    if (size == NULL || !parse_number(size, &bytes) || bytes <= 0) {
        print_error("Number of bytes must be positive", size);
    } else if (bytes > SCORES_INPUT_BYTES) {
        print_error("Number of bytes exceeds the buffer", size);
    } else {
        expected = (size_t)bytes;
        loaded = 0;
        memset(scores_inputs(), 0, SCORES_INPUT_BYTES);
        print_count("m-[Expecting ", bytes, " bytes]");
    }
}

static void append(const char *digits)
{
    if (expected == 0) {
        print_error("No load is pending", digits);
        return;
    }
    uint8_t *buffer = scores_inputs();
    for (; *digits != '\0' && loaded < expected; digits += 2) {
        const int high = hex_digit(digits[0]);
        const int low = high < 0 ? -1 : hex_digit(digits[1]);
        if (low < 0) {
            print_error("Not two hexadecimal digits a byte", digits);
            return;
        }
        buffer[loaded++] = (uint8_t)(high << 4 | low);
    }
    if (loaded == expected) {
        expected = 0;
        print_line("m-load-done");
    }
}

static void print_buffer(void)
{
    const uint8_t *buffer = scores_inputs();
    for (size_t i = 0; i < SCORES_INPUT_BYTES; i++) {
        if (i % PRINTED_BYTES_A_LINE == 0) {
            print_text(i == 0 ? "m-buffer" : "\r\nm-buffer");
        }
        print_text("-");
        print_byte(buffer[i]);
    }
    print_text("\r\n");
}

static void obey_db(char *rest)
{
    const char *word = next_word(&rest);
    if (word == NULL) {
        print_error("db wants load, print or bytes", NULL);
    } else if (strcmp(word, "load") == 0) {
        load(next_word(&rest));
    } else if (strcmp(word, "print") == 0) {
        print_buffer();
    } else {
        append(word);
    }
}

static void print_results(void)
{
    scores_compute();
    print_text("m-results-[");
    for (size_t i = 0; i < SCORES; i++) {
        if (i > 0) {
            print_text(",");
        }
        print_millionths(scores_millionths(i));
    }
    print_line("]");
}

/* After the frame that completes a window: was it the wake word, which is the first class? */
static void detect(void)
{
    scores_compute();
    const int32_t score = (int32_t)scores_millionths(0);
    activations[activation_count % KEPT_ACTIVATIONS] = score;
    activation_count++;
    if (score >= DETECTED_MILLIONTHS) {
#if APP_ENERGY
        port_pulse();
#endif
    }
}

/* Negative: it failed. */
static int infer_once(void)
{
    uint32_t cycles;
    const int status = app_run(&cycles);
    if (detecting && status == APP_DONE) {
        detect();
    }
    return status;
}

/* "infer" alone is one inference without a warm-up. */
static bool parse_infer(char *rest, int32_t *runs, int32_t *warmups)
{
    const char *word = next_word(&rest);
    if (word == NULL) {
        *warmups = 0;
        return true;
    }
    if (!parse_number(word, runs) || *runs <= 0) {
        print_error("Number of inferences must be positive", word);
        return false;
    }
    word = next_word(&rest);
    if (word != NULL && (!parse_number(word, warmups) || *warmups < 0)) {
        print_error("Number of warm-ups must not be negative", word);
        return false;
    }
    return true;
}

static void infer(char *rest)
{
    int32_t runs = 1;
    int32_t warmups = DEFAULT_WARMUPS;
    if (!parse_infer(rest, &runs, &warmups)) {
        return;
    }
    if (loaded != SCORES_INPUT_BYTES) { /* the words are those of the benchmark's reference */
        print_text("e-[Input db has ");
        print_number((int64_t)loaded);
        print_count(" elemented, expected ", SCORES_INPUT_BYTES, "]");
        return;
    }
    scores_convert_inputs();
    int status = 0;
    print_count("m-warmup-start-", warmups, "");
    for (int32_t i = 0; i < warmups; i++) {
        status = infer_once();
    }
    print_line("m-warmup-done");
    print_count("m-infer-start-", runs, "");
    print_time();
    for (int32_t i = 0; i < runs && status >= 0; i++) {
        status = infer_once();
    }
    print_time();
    print_line("m-infer-done");
    if (status < 0) {
        print_error("The network failed", NULL);
    }
    print_results();
}

static void start_detecting(void)
{
    app_model_reset();
    activation_count = 0;
    detecting = true;
    print_line("m-[Streaming]");
}

static void stop_detecting(void)
{
    detecting = false;
    print_line("target activations:");
    const size_t first = activation_count < KEPT_ACTIVATIONS ? 0 : activation_count - KEPT_ACTIVATIONS;
    for (size_t i = first; i < activation_count; i++) {
        print_millionths(activations[i % KEPT_ACTIVATIONS]);
        print_text((i - first) % PRINTED_BYTES_A_LINE == PRINTED_BYTES_A_LINE - 1 || i + 1 == activation_count ? "\r\n" : ",");
    }
    activation_count = 0;
}

static void obey(char *command)
{
    char *rest = command;
    const char *word = next_word(&rest);
    if (word == NULL) {
        return;
    }
    if (strcmp(word, "name") == 0) {
        print_line("m-name-dut-[" APP_BOARD_TITLE "]");
    } else if (strcmp(word, "profile") == 0) {
        print_line("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
        print_line("m-model-[" APP_MODEL_ID "]");
    } else if (strcmp(word, "help") == 0) {
        print_line("name, profile, timestamp, results, help");
        print_line("db load N: N bytes will come; db HEX: some of them; db print");
        print_line("infer N [W=10]: the network, W times to warm up and N times; infer: once");
        print_line("start, stop: a new stream; the scores of the wake word in it");
    } else if (strcmp(word, "timestamp") == 0) {
        print_time();
    } else if (strcmp(word, "db") == 0) {
        obey_db(rest);
    } else if (strcmp(word, "infer") == 0) {
        infer(rest);
    } else if (APP_STREAMS && strcmp(word, "start") == 0) {
        start_detecting();
    } else if (APP_STREAMS && strcmp(word, "stop") == 0) {
        stop_detecting();
    } else if (strcmp(word, "results") == 0) {
        print_results();
    } else {
        print_error("Unknown command", word);
    }
}

void console_start(void)
{
    print_line(APP_ENERGY ? "m-timestamp-mode-energy" : "m-timestamp-mode-performance");
    print_time();
    print_line("m-init-done");
    print_line("m-ready");
}

void console_receive(uint8_t byte)
{
    static char command[COMMAND_CHARACTERS + 1];
    static size_t length;
    static bool too_long;
    if (byte == '%') {
        command[length] = '\0';
        if (too_long) {
            print_error("A command has at most 80 characters", NULL);
        } else {
            obey(command);
        }
        print_line("m-ready");
        length = 0;
        too_long = false;
    } else if (byte >= ' ' && byte <= '~') {
        if (length < COMMAND_CHARACTERS) {
            command[length] = (char)byte;
            length++;
        } else {
            too_long = true;
        }
    } else {
        /* Line ends that some terminals add. */
    }
}
