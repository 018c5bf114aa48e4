#include "frame.h"

#include <string.h>

#include "app_model.h"
#include "port.h"

/* The longest payload of a request: a chunk, all inputs where they are shorter, or the four bytes of FRAME_READ. */
enum {
    LONGEST_INPUT = APP_INPUT_BYTES < FRAME_CHUNK_BYTES ? APP_INPUT_BYTES : FRAME_CHUNK_BYTES,
    LONGEST_PAYLOAD = LONGEST_INPUT < 4 ? 4 : LONGEST_INPUT,
    CAPACITY = FRAME_HEADER_BYTES + LONGEST_PAYLOAD + FRAME_CRC_BYTES,
    HEADER_CRC_AT = FRAME_HEADER_BYTES - 4
};

/* The frame as it arrives. Its CRC is computed byte by byte, so that no byte is missed while the line goes on. */
static uint8_t buffer[CAPACITY];
static size_t received;
static size_t summed;       /* bytes that crc contains */
static uint32_t crc;        /* of the first bytes, not yet inverted */
static uint32_t header_crc; /* what it was after the header's first bytes */
static size_t consumed;     /* what frame_release drops */

static uint32_t send_crc;

/* CRC-32 with a table of 16 entries: 64 bytes of flash, two steps a byte. */
static uint32_t crc32_update(uint32_t sum, const uint8_t *bytes, size_t length)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    for (size_t i = 0; i < length; i++) {
        sum ^= bytes[i];
        sum = table[sum & 15u] ^ (sum >> 4);
        sum = table[sum & 15u] ^ (sum >> 4);
    }
    return sum;
}

uint32_t frame_crc32(const uint8_t *bytes, size_t length)
{
    return ~crc32_update(0xFFFFFFFFu, bytes, length);
}

uint32_t frame_load_u32(const uint8_t *bytes)
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
    summed = 0;
    crc = 0xFFFFFFFFu;
}

/* Brings the CRC up to the first count bytes. */
static void sum_to(size_t count)
{
    if (summed < HEADER_CRC_AT && count >= HEADER_CRC_AT) {
        header_crc = crc32_update(crc, buffer + summed, HEADER_CRC_AT - summed);
        crc = header_crc;
        summed = HEADER_CRC_AT;
    }
    if (summed < count) {
        crc = crc32_update(crc, buffer + summed, count - summed);
        summed = count;
    }
}

bool frame_idle(void)
{
    return received == 0;
}

void frame_receive(uint8_t byte)
{
    if (received == 0) {
        drop(0); /* the first one begins with a CRC of nothing */
    }
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
        sum_to(FRAME_HEADER_BYTES);
        if (~header_crc != frame_load_u32(buffer + HEADER_CRC_AT)) {
            drop(1);
            continue;
        }
        frame->type = buffer[2];
        frame->sequence = buffer[3];
        frame->offset = frame_load_u32(buffer + 4);
        frame->length = (uint32_t)buffer[8] | (uint32_t)buffer[9] << 8;
        frame->corrupt = false;
        frame->payload = NULL;
        if (frame->length > LONGEST_PAYLOAD) {
            consumed = FRAME_HEADER_BYTES;
            return true;
        }
        const size_t end = FRAME_HEADER_BYTES + frame->length;
        sum_to(received < end ? received : end);
        if (received < end + FRAME_CRC_BYTES) {
            return false;
        }
        frame->payload = buffer + FRAME_HEADER_BYTES;
        frame->corrupt = ~crc != frame_load_u32(buffer + end);
        /* The next frame may have begun inside a corrupt one that lost bytes. */
        consumed = frame->corrupt ? 1 : end + FRAME_CRC_BYTES;
        return true;
    }
}

void frame_release(void)
{
    drop(consumed);
}

void frame_cut(void)
{
    drop(1);
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

void frame_send_begin(enum frame_type type, uint8_t sequence, uint32_t offset, size_t length)
{
    uint8_t header[HEADER_CRC_AT] = {FRAME_MAGIC_0, FRAME_MAGIC_1, (uint8_t)type, sequence};
    store_u32(header + 4, offset);
    header[8] = (uint8_t)length;
    header[9] = (uint8_t)(length >> 8);
    send_crc = 0xFFFFFFFFu;
    frame_send_bytes(header, sizeof header);
    frame_send_u32(~send_crc);
}

void frame_send_end(void)
{
    frame_send_u32(~send_crc);
}
