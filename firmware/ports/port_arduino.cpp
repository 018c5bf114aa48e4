/* Any board that the Arduino framework drives, as the app sees it. */
#include <Arduino.h>

#include "app.h"
#include "app_port.h"
#include "port.h"

enum { WAIT_FOR_USB_MS = 3000 };

void setup()
{
    app_start();
}

void loop()
{
    app_poll();
}

void port_start()
{
    Serial.begin(APP_BAUD);
#ifdef APP_PULSE_PIN
    digitalWrite(APP_PULSE_PIN, HIGH);
    pinMode(APP_PULSE_PIN, OUTPUT);
#endif
    while (!Serial && millis() < WAIT_FOR_USB_MS) {
    }
}

int port_read()
{
    return Serial.available() > 0 ? Serial.read() : -1;
}

void port_write(uint8_t byte)
{
    Serial.write(byte);
}

/* The clock that every such board has counts microseconds. */
uint32_t port_clock_hz()
{
    return 1000000;
}

uint64_t port_cycles()
{
    static uint64_t cycles;
    static uint32_t last;
    const uint32_t now = micros();
    cycles += static_cast<uint32_t>(now - last);
    last = now;
    return cycles;
}

#ifdef APP_PULSE_PIN
void port_pulse()
{
    digitalWrite(APP_PULSE_PIN, LOW);
    delayMicroseconds(1);
    digitalWrite(APP_PULSE_PIN, HIGH);
}
#endif
