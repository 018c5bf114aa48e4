/* The device's side of the MLPerf Tiny benchmark: commands that end with '%', answers that end with "m-ready".
 *
 * The inputs are bytes as the network wants them, so its input format must be the benchmark's.
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

enum { COMMAND_CHARACTERS = 80, DEFAULT_WARMUPS = 10, PRINTED_BYTES_A_LINE = 8 };

static size_t expected; /* bytes of the load that is announced, 0: none is */
static size_t loaded;   /* bytes of it that have come */

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

static void print_time(void)
{
    const uint32_t megahertz = port_clock_hz() / 1000000u;
    print_count("m-lap-us-", (int64_t)(port_cycles() / megahertz), "");
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
    } else if (bytes > APP_INPUT_END) {
        print_error("Number of bytes exceeds the buffer", size);
    } else {
        expected = (size_t)bytes;
        loaded = 0;
        memset(app_inputs(), 0, APP_INPUT_BYTES);
        print_count("m-[Expecting ", bytes, " bytes]");
    }
}

static void append(const char *digits)
{
    if (expected == 0) {
        print_error("No load is pending", digits);
        return;
    }
    uint8_t *buffer = app_inputs();
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
    const uint8_t *buffer = app_inputs();
    for (size_t i = 0; i < APP_INPUT_END; i++) {
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
    print_text("m-results-[");
    for (size_t i = 0; i < APP_OUTPUT_ELEMENTS; i++) {
        if (i > 0) {
            print_text(",");
        }
        print_millionths(app_model_output_millionths(app_outputs(), i));
    }
    print_line("]");
}

static void infer(char *rest)
{
    int32_t runs = 0;
    int32_t warmups = DEFAULT_WARMUPS;
    uint32_t cycles;
    const char *word = next_word(&rest);
    if (word == NULL || !parse_number(word, &runs) || runs <= 0) {
        print_error("Number of inferences must be positive", word);
        return;
    }
    word = next_word(&rest);
    if (word != NULL && (!parse_number(word, &warmups) || warmups < 0)) {
        print_error("Number of warm-ups must not be negative", word);
        return;
    }
    print_count("m-warmup-start-", warmups, "");
    for (int32_t i = 0; i < warmups; i++) {
        (void)app_run(&cycles);
    }
    print_line("m-warmup-done");
    print_count("m-infer-start-", runs, "");
    print_time();
    int status = 0;
    for (int32_t i = 0; i < runs; i++) {
        status |= app_run(&cycles);
    }
    print_time();
    print_line("m-infer-done");
    if (status != 0) {
        print_error("The network failed", NULL);
    }
    print_results();
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
        print_line("infer N [W=10]: the network, W times to warm up and N times");
    } else if (strcmp(word, "timestamp") == 0) {
        print_time();
    } else if (strcmp(word, "db") == 0) {
        obey_db(rest);
    } else if (strcmp(word, "infer") == 0) {
        infer(rest);
    } else if (strcmp(word, "results") == 0) {
        print_results();
    } else {
        print_error("Unknown command", word);
    }
}

void console_start(void)
{
    print_line("m-timestamp-mode-performance");
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
