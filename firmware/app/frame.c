#include "frame.h"

#include <string.h>

#include "app_model.h"
#include "port.h"

/* A frame may carry the inputs and nothing longer. */
enum { CAPACITY = FRAME_HEADER_BYTES + APP_INPUT_BYTES + FRAME_CRC_BYTES };

/* The whole frame as it arrives; the payload lies at a multiple of four, so the network can read it in place. */
static _Alignas(8) uint8_t buffer[CAPACITY];
static size_t received;
static size_t consumed; /* what frame_release drops */

static uint32_t send_crc;

/* CRC-32 with a table of 16 entries: 64 bytes of flash, two steps a byte. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *bytes, size_t length)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = table[crc & 15u] ^ (crc >> 4);
        crc = table[crc & 15u] ^ (crc >> 4);
    }
    return crc;
}

uint32_t frame_crc32(const uint8_t *bytes, size_t length)
{
    return ~crc32_update(0xFFFFFFFFu, bytes, length);
}

static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void store_u32(uint8_t *bytes, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Drops bytes from the front, and more until what is left could begin a frame. */
static void drop(size_t count)
{
    while (count < received && buffer[count] != FRAME_MAGIC_0) {
        count++;
    }
    received -= count;
    memmove(buffer, buffer + count, received);
}

bool frame_idle(void)
{
    return received == 0;
}

void frame_receive(uint8_t byte)
{
    if (received < CAPACITY) {
        buffer[received] = byte;
        received++;
    }
}

bool frame_next(frame_t *frame)
{
    for (;;) {
        if ((received >= 1 && buffer[0] != FRAME_MAGIC_0) || (received >= 2 && buffer[1] != FRAME_MAGIC_1)) {
            drop(1);
            continue;
        }
        if (received < FRAME_HEADER_BYTES) {
            return false;
        }
        if (frame_crc32(buffer, FRAME_HEADER_BYTES - 4) != load_u32(buffer + FRAME_HEADER_BYTES - 4)) {
            drop(1);
            continue;
        }
        frame->type = buffer[2];
        frame->sequence = buffer[3];
        frame->length = load_u32(buffer + 4);
        frame->corrupt = false;
        frame->payload = NULL;
        if (frame->length > APP_INPUT_BYTES) {
            consumed = FRAME_HEADER_BYTES;
            return true;
        }
        const size_t end = FRAME_HEADER_BYTES + frame->length;
        if (received < end + FRAME_CRC_BYTES) {
            return false;
        }
        frame->payload = buffer + FRAME_HEADER_BYTES;
        frame->corrupt = frame_crc32(buffer, end) != load_u32(buffer + end);
        /* The next frame may have begun inside a corrupt one that lost bytes. */
        consumed = frame->corrupt ? 1 : end + FRAME_CRC_BYTES;
        return true;
    }
}

void frame_release(void)
{
    drop(consumed);
}

const uint8_t *frame_payload(void)
{
    return buffer + FRAME_HEADER_BYTES;
}

void frame_send_bytes(const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    send_crc = crc32_update(send_crc, next, length);
    for (size_t i = 0; i < length; i++) {
        port_write(next[i]);
    }
}

void frame_send_u32(uint32_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, value);
    frame_send_bytes(bytes, sizeof bytes);
}

void frame_send_begin(enum frame_type type, uint8_t sequence, size_t length)
{
    uint8_t header[8] = {FRAME_MAGIC_0, FRAME_MAGIC_1, (uint8_t)type, sequence, 0, 0, 0, 0};
    store_u32(header + 4, (uint32_t)length);
    send_crc = 0xFFFFFFFFu;
    frame_send_bytes(header, sizeof header);
    frame_send_u32(~send_crc);
}

void frame_send_end(void)
{
    frame_send_u32(~send_crc);
}
