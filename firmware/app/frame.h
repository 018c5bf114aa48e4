/* Frames over a serial line: found again after garbage, after lost or doubled bytes, and after one that was cut off.
 *
 *   A5 5A  type  sequence  offset:u32  length:u16  crc:u32 of these 10 bytes | payload  crc:u32 of all before it
 *
 * All numbers are little-endian; the CRC is the usual CRC-32 (polynomial EDB88320). The header has a CRC of its own,
 * so that a garbled length cannot make the receiver wait for bytes that never come. Inputs come in chunks of
 * FRAME_CHUNK_BYTES (the last may be shorter), each a frame with its offset: a lost byte costs one chunk.
 */
#ifndef GGDQ_FRAME_H
#define GGDQ_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_MAGIC_0 = 0xA5,
    FRAME_MAGIC_1 = 0x5A,
    FRAME_HEADER_BYTES = 14,
    FRAME_CRC_BYTES = 4,
    FRAME_CHUNK_BYTES = 256,   /* of the inputs, in one frame */
    FRAME_ANSWER_BYTES = 1024, /* of the outputs or of a layer, in one frame */
    FRAME_SILENCE_MS = 1000    /* a frame is given up where its next byte does not come in this time */
};

/* Requests from the computer, and answers of the board (high bit set). */
enum frame_type {
    FRAME_INFO = 0x01,        /* empty: what is on this board? */
    FRAME_RUN = 0x02,         /* empty: run the network on the inputs that came with this sequence number */
    FRAME_TRACE = 0x03,       /* the same, and send each layer's output too */
    FRAME_INPUT = 0x04,       /* a chunk of the inputs, at its offset; is not answered */
    FRAME_READ = 0x05,        /* u32 bytes: send these outputs of the last run again, from the offset */
    FRAME_INFO_ANSWER = 0x81, /* u32 version, input, output, arena bytes, clock Hz, 1 if it can trace; name */
    FRAME_OUTPUT = 0x82,      /* i32 status, u32 cycles (0: unknown), u32 bytes of all outputs, u32 frames with layers
                               * that were sent before it; the outputs from the offset */
    FRAME_LAYER = 0x83,       /* offset: number of this frame, from 0; u32 index of the layer; its output */
    FRAME_ERROR = 0xFF        /* u32 enum frame_error; what it says */
};

enum frame_error {
    FRAME_ERROR_CORRUPT = 1, /* the CRC of the payload is wrong: send it again */
    FRAME_ERROR_LENGTH = 2,  /* not the length this network wants */
    FRAME_ERROR_TYPE = 3,    /* a request that this firmware does not know */
    FRAME_ERROR_MISSING = 4  /* u32 offsets of chunks that have not come: the first FRAME_MOST_MISSING at most */
};

enum { FRAME_MOST_MISSING = 32 };

typedef struct {
    uint8_t type;
    uint8_t sequence;
    bool corrupt;           /* the header is right, the payload is not */
    uint32_t offset;        /* of the payload in what it is a part of */
    uint32_t length;        /* of the payload, in bytes */
    const uint8_t *payload; /* valid until frame_release */
} frame_t;

/* Is no frame begun? Then the next byte may be something else. */
bool frame_idle(void);

/* Takes one received byte. Call frame_next until it is false before the next one. */
void frame_receive(uint8_t byte);

/* Is there a frame in what was received? Then it is described in *frame, until frame_release. A frame whose payload
 * is longer than a chunk is reported with its length and no payload. */
bool frame_next(frame_t *frame);
void frame_release(void);

/* Gives up the frame that has begun and does not go on. Call frame_next afterwards: another may have begun within. */
void frame_cut(void);

/* A number in a payload. */
uint32_t frame_load_u32(const uint8_t *bytes);

/* The CRC of frames, that of zip and Ethernet. */
uint32_t frame_crc32(const uint8_t *bytes, size_t length);

/* Sends a frame in pieces: begin says how many bytes the pieces have together. */
void frame_send_begin(enum frame_type type, uint8_t sequence, uint32_t offset, size_t length);
void frame_send_bytes(const void *bytes, size_t length);
void frame_send_u32(uint32_t value);
void frame_send_end(void);

#endif
