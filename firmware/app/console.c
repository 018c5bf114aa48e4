/* A few words for a person at a terminal: "run", "info", "help". */
#include "console.h"

#include <stddef.h>
#include <string.h>

#include "app.h"
#include "app_model.h"
#include "print.h"

static void print_info(void)
{
    print_text("ggdq-mcu: network \"" APP_MODEL_NAME "\", input ");
    print_number(APP_INPUT_BYTES);
    print_text(" bytes, output ");
    print_number(APP_OUTPUT_BYTES);
    print_text(" bytes, arena ");
    print_number(APP_ARENA_BYTES);
    print_text(app_is_whole() ? " bytes. Type help.\r\n" : " bytes. It failed its self-test and does not run.\r\n");
}

/* On the last inputs (zeros before the first ones). */
static void run(void)
{
    uint32_t cycles = 0;
    const int status = app_run(&cycles);
    print_text(status >= 0 ? "outputs:" : "the network failed, outputs:");
    for (size_t i = 0; i < APP_OUTPUT_ELEMENTS; i++) {
        print_text(" ");
        print_number(app_model_output(app_outputs(), i));
    }
    print_text("\r\ncycles: ");
    print_number(cycles);
    print_text("\r\n");
}

static void obey(const char *line)
{
    if (strcmp(line, "run") == 0) {
        run();
    } else if (strcmp(line, "info") == 0) {
        print_info();
    } else if (strcmp(line, "help") == 0) {
        print_text("run: the network on the last input (zeros at first); info: what is on this board\r\n");
    } else {
        /* Anything else is noise on the line. */
    }
}

void console_start(void)
{
    print_info();
}

void console_receive(uint8_t byte)
{
    static char line[8];
    static size_t length;
    if (byte == '\r' || byte == '\n') {
        line[length] = '\0';
        length = 0;
        obey(line);
    } else if (length < sizeof line - 1) {
        line[length] = (char)byte;
        length++;
    } else {
        /* Longer lines than any command are forgotten. */
    }
}
