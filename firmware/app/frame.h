/* Frames over a serial line: found again after garbage, and after lost or doubled bytes.
 *
 *   A5 5A  type  sequence  length:u32  crc:u32 of these 8 bytes | payload  crc:u32 of all before it
 *
 * All numbers are little-endian; the CRC is the usual CRC-32 (polynomial EDB88320). The header has a CRC of its own,
 * so that a garbled length cannot make the receiver wait for bytes that never come.
 */
#ifndef GGDQ_FRAME_H
#define GGDQ_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_MAGIC_0 = 0xA5, FRAME_MAGIC_1 = 0x5A, FRAME_HEADER_BYTES = 12, FRAME_CRC_BYTES = 4 };

/* Requests from the computer, and answers of the board (high bit set). */
enum frame_type {
    FRAME_INFO = 0x01,        /* empty: what is on this board? */
    FRAME_RUN = 0x02,         /* the inputs: run the network */
    FRAME_TRACE = 0x03,       /* the inputs: run the network and send each layer's output too */
    FRAME_INFO_ANSWER = 0x81, /* u32 version, input, output, arena bytes, clock Hz, 1 if it can trace; name */
    FRAME_OUTPUT = 0x82,      /* i32 status, u32 cycles (0: unknown); the outputs */
    FRAME_LAYER = 0x83,       /* u32 index of the layer; its output */
    FRAME_ERROR = 0xFF        /* u32 enum frame_error */
};

enum frame_error {
    FRAME_ERROR_CORRUPT = 1, /* the CRC of the payload is wrong: send it again */
    FRAME_ERROR_LENGTH = 2,  /* not the length this network wants */
    FRAME_ERROR_TYPE = 3     /* a request that this firmware does not know */
};

typedef struct {
    uint8_t type;
    uint8_t sequence;
    bool corrupt;           /* the header is right, the payload is not */
    uint32_t length;        /* of the payload, in bytes */
    const uint8_t *payload; /* 4-byte aligned; valid until frame_release */
} frame_t;

/* Is no frame begun? Then the next byte may be something else. */
bool frame_idle(void);

/* Takes one received byte. Call frame_next until it is false before the next one. */
void frame_receive(uint8_t byte);

/* Is there a frame in what was received? Then it is described in *frame, until frame_release. A frame whose payload
 * is too long to be received is reported with its length and no payload. */
bool frame_next(frame_t *frame);
void frame_release(void);

/* The payload bytes of the last frame, also after its release, until other bytes arrive. */
const uint8_t *frame_payload(void);

/* The CRC of frames, that of zip and Ethernet. */
uint32_t frame_crc32(const uint8_t *bytes, size_t length);

/* Sends a frame in pieces: begin says how many bytes the pieces have together. */
void frame_send_begin(enum frame_type type, uint8_t sequence, size_t length);
void frame_send_bytes(const void *bytes, size_t length);
void frame_send_u32(uint32_t value);
void frame_send_end(void);

#endif
