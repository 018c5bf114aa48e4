"""Hand-made networks with the interface of generated ones, and what they compute."""

from __future__ import annotations

import json

import numpy as np

_HEADER = """#ifndef GGDQ_TINY_H
#define GGDQ_TINY_H
#include <stddef.h>
#include <stdint.h>
#define GGDQ_TINY_INPUTS 1
#define GGDQ_TINY_OUTPUTS 1
#define GGDQ_TINY_ARENA_BYTES 14
#define GGDQ_TINY_INPUT_ELEMENTS 7
#define GGDQ_TINY_INPUT_BYTES 7
#define GGDQ_TINY_INPUT_BITS 8
#define GGDQ_TINY_INPUT_SIGNED 1
#define GGDQ_TINY_INPUT_STEP 0.5
#define GGDQ_TINY_INPUT_ZERO_POINT 3
#define GGDQ_TINY_OUTPUT_ELEMENTS 3
#define GGDQ_TINY_OUTPUT_BYTES 3
#define GGDQ_TINY_OUTPUT_BITS 8
#define GGDQ_TINY_OUTPUT_SIGNED 0
#define GGDQ_TINY_OUTPUT_STEP 0.00390625
#define GGDQ_TINY_OUTPUT_ZERO_POINT 0
typedef int8_t ggdq_tiny_input_t;
typedef uint8_t ggdq_tiny_output_t;
size_t ggdq_tiny_arena_size(void);
int ggdq_tiny_invoke(const ggdq_tiny_input_t *input, ggdq_tiny_output_t *output);
#ifdef GGDQ_TRACE
void ggdq_tiny_trace(int layer, const void *data, size_t bytes);
#endif
#endif
"""

_SOURCE = """#include "ggdq_tiny.h"
#define NOINLINE __attribute__((noinline, noclone))
#ifdef GGDQ_TRACE
#define TRACE(layer, data, bytes) ggdq_tiny_trace(layer, data, bytes)
#else
#define TRACE(layer, data, bytes) ((void)0)
#endif
static const int8_t weights[3] = {1, 2, -1};
static volatile int16_t offset = 5;
static NOINLINE void ggdq_tiny_triple(const int8_t *restrict in, int16_t *restrict out)
{
    for (int i = 0; i < 7; i++) {
        out[i] = (int16_t)(3 * in[i] + offset);
    }
}
static NOINLINE void ggdq_tiny_sums(const int16_t *restrict in, uint8_t *restrict out)
{
    for (int j = 0; j < 3; j++) {
        int32_t sum = 0;
        for (int i = 0; i < 7; i++) {
            sum += weights[(i + j) % 3] * in[i];
        }
        sum >>= 2;
        out[j] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}
size_t ggdq_tiny_arena_size(void)
{
    return GGDQ_TINY_ARENA_BYTES;
}
int ggdq_tiny_invoke(const ggdq_tiny_input_t *input, ggdq_tiny_output_t *output)
{
    static int16_t arena[7];
    if (input == NULL || output == NULL) {
        return -1;
    }
    ggdq_tiny_triple(input, arena);
    TRACE(1, arena, sizeof arena);
    ggdq_tiny_sums(arena, output);
    TRACE(2, output, 3);
    return 0;
}
"""


def tiny() -> dict[str, str | bytes]:
    """The files of a network int8[7] -> int16[7] -> uint8[3], by path."""
    return {
        "lib/ggdq_tiny/src/ggdq_tiny.h": _HEADER,
        "lib/ggdq_tiny/src/ggdq_tiny.c": _SOURCE,
        "ggdq.json": json.dumps({"name": "tiny"}),
    }


def tiny_layers(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the two layers of ``tiny`` compute from int8[7]."""
    tripled = 3 * x.astype(np.int32) + 5
    weights = np.array([[(1, 2, -1)[(i + j) % 3] for i in range(7)] for j in range(3)])
    return tripled.astype(np.int16), np.clip((weights @ tripled) >> 2, 0, 255).astype(np.uint8)


_PAIR_HEADER = """#ifndef GGDQ_PAIR_H
#define GGDQ_PAIR_H
#include <stddef.h>
#include <stdint.h>
#define GGDQ_PAIR_INPUTS 2
#define GGDQ_PAIR_OUTPUTS 2
#define GGDQ_PAIR_ARENA_BYTES 0
#define GGDQ_PAIR_INPUT_0_ELEMENTS 5
#define GGDQ_PAIR_INPUT_0_BITS 8
#define GGDQ_PAIR_INPUT_0_SIGNED 1
#define GGDQ_PAIR_INPUT_0_STEP 1.0
#define GGDQ_PAIR_INPUT_0_ZERO_POINT 0
#define GGDQ_PAIR_INPUT_1_ELEMENTS 3
#define GGDQ_PAIR_INPUT_1_BITS 16
#define GGDQ_PAIR_INPUT_1_SIGNED 1
#define GGDQ_PAIR_INPUT_1_STEP 0.001
#define GGDQ_PAIR_INPUT_1_ZERO_POINT 0
#define GGDQ_PAIR_OUTPUT_0_ELEMENTS 3
#define GGDQ_PAIR_OUTPUT_0_BITS 16
#define GGDQ_PAIR_OUTPUT_0_SIGNED 1
#define GGDQ_PAIR_OUTPUT_0_STEP 0.1
#define GGDQ_PAIR_OUTPUT_0_ZERO_POINT -7
#define GGDQ_PAIR_OUTPUT_1_ELEMENTS 5
#define GGDQ_PAIR_OUTPUT_1_BITS 8
#define GGDQ_PAIR_OUTPUT_1_SIGNED 0
#define GGDQ_PAIR_OUTPUT_1_STEP 2e-05
#define GGDQ_PAIR_OUTPUT_1_ZERO_POINT 5
typedef int8_t ggdq_pair_input_0_t;
typedef int16_t ggdq_pair_input_1_t;
typedef int16_t ggdq_pair_output_0_t;
typedef uint8_t ggdq_pair_output_1_t;
size_t ggdq_pair_arena_size(void);
int ggdq_pair_invoke(const ggdq_pair_input_0_t *input_0, const ggdq_pair_input_1_t *input_1,
                     ggdq_pair_output_0_t *output_0, ggdq_pair_output_1_t *output_1);
#ifdef GGDQ_TRACE
void ggdq_pair_trace(int layer, const void *data, size_t bytes);
#endif
#endif
"""

_PAIR_SOURCE = """#include "ggdq_pair.h"
size_t ggdq_pair_arena_size(void)
{
    return GGDQ_PAIR_ARENA_BYTES;
}
int ggdq_pair_invoke(const ggdq_pair_input_0_t *input_0, const ggdq_pair_input_1_t *input_1,
                     ggdq_pair_output_0_t *output_0, ggdq_pair_output_1_t *output_1)
{
    for (int i = 0; i < 3; i++) {
        output_0[i] = (int16_t)(input_1[i] / 2 + input_0[i]);
    }
    for (int i = 0; i < 5; i++) {
        output_1[i] = (uint8_t)(input_0[i] + 128);
    }
    return 0;
}
"""


def pair() -> dict[str, str | bytes]:
    """The files of a network of two inputs and two outputs of different types."""
    return {
        "lib/ggdq_pair/src/ggdq_pair.h": _PAIR_HEADER,
        "lib/ggdq_pair/src/ggdq_pair.c": _PAIR_SOURCE,
        "ggdq.json": json.dumps({"name": "pair"}),
    }


_WIDE_HEADER = """#ifndef GGDQ_WIDE_H
#define GGDQ_WIDE_H
#include <stddef.h>
#include <stdint.h>
#define GGDQ_WIDE_INPUTS 1
#define GGDQ_WIDE_OUTPUTS 1
#define GGDQ_WIDE_ARENA_BYTES 0
#define GGDQ_WIDE_INPUT_ELEMENTS ELEMENTS
#define GGDQ_WIDE_INPUT_BITS 8
#define GGDQ_WIDE_INPUT_SIGNED 1
#define GGDQ_WIDE_INPUT_STEP 1.0
#define GGDQ_WIDE_INPUT_ZERO_POINT 0
#define GGDQ_WIDE_OUTPUT_ELEMENTS 2048
#define GGDQ_WIDE_OUTPUT_BITS 8
#define GGDQ_WIDE_OUTPUT_SIGNED 0
#define GGDQ_WIDE_OUTPUT_STEP 1.0
#define GGDQ_WIDE_OUTPUT_ZERO_POINT 0
typedef int8_t ggdq_wide_input_t;
typedef uint8_t ggdq_wide_output_t;
size_t ggdq_wide_arena_size(void);
int ggdq_wide_invoke(const ggdq_wide_input_t *input, ggdq_wide_output_t *output);
#ifdef GGDQ_TRACE
void ggdq_wide_trace(int layer, const void *data, size_t bytes);
#endif
#endif
"""

_WIDE_SOURCE = """#include "ggdq_wide.h"
size_t ggdq_wide_arena_size(void)
{
    return GGDQ_WIDE_ARENA_BYTES;
}
int ggdq_wide_invoke(const ggdq_wide_input_t *input, ggdq_wide_output_t *output)
{
    for (int i = 0; i < 2048; i++) {
        output[i] = 0;
    }
    for (int i = 0; i < GGDQ_WIDE_INPUT_ELEMENTS; i++) {
        output[i % 2048] = (uint8_t)(3 * output[i % 2048] + input[i]);
    }
    return 0;
}
"""


def wide(elements: int) -> dict[str, str | bytes]:
    """The files of a network of so many inputs int8 and 2048 outputs, two frames of them."""
    return {
        "lib/ggdq_wide/src/ggdq_wide.h": _WIDE_HEADER.replace("ELEMENTS ELEMENTS", f"ELEMENTS {elements}"),
        "lib/ggdq_wide/src/ggdq_wide.c": _WIDE_SOURCE,
        "ggdq.json": json.dumps({"name": "wide"}),
    }


def wide_output(data: bytes) -> bytes:
    """What ``wide`` computes from bytes below 128."""
    output = np.zeros(2048, np.uint8)
    for start in range(0, len(data), 2048):
        output = 3 * output + np.frombuffer(data, np.uint8, 2048, start)
    return output.tobytes()


def autoencoder(elements: int, step: float, output_step: float, zero_point: int) -> dict[str, str | bytes]:
    """The files of a network whose outputs are its int8 inputs with the other sign; both ends have the zero point."""
    same = {"ELEMENTS": elements, "BITS": 8, "SIGNED": 1, "ZERO_POINT": zero_point}
    ends = {"INPUT": {**same, "STEP": step}, "OUTPUT": {**same, "STEP": output_step}}
    lines = [
        f"#define GGDQ_AUTOENCODER_{end}_{key} {value}" for end, macros in ends.items() for key, value in macros.items()
    ]
    header = f"""#ifndef GGDQ_AUTOENCODER_H
#define GGDQ_AUTOENCODER_H
#include <stddef.h>
#include <stdint.h>
#define GGDQ_AUTOENCODER_INPUTS 1
#define GGDQ_AUTOENCODER_OUTPUTS 1
#define GGDQ_AUTOENCODER_ARENA_BYTES 0
{chr(10).join(lines)}
typedef int8_t ggdq_autoencoder_input_t;
typedef int8_t ggdq_autoencoder_output_t;
size_t ggdq_autoencoder_arena_size(void);
int ggdq_autoencoder_invoke(const ggdq_autoencoder_input_t *input, ggdq_autoencoder_output_t *output);
#endif
"""
    source = f"""#include "ggdq_autoencoder.h"
size_t ggdq_autoencoder_arena_size(void)
{{
    return GGDQ_AUTOENCODER_ARENA_BYTES;
}}
int ggdq_autoencoder_invoke(const ggdq_autoencoder_input_t *input, ggdq_autoencoder_output_t *output)
{{
    for (int i = 0; i < {elements}; i++) {{
        output[i] = (int8_t)(input[i] == -128 ? 127 : -input[i]);
    }}
    return 0;
}}
"""
    return {
        "lib/ggdq_autoencoder/src/ggdq_autoencoder.h": header,
        "lib/ggdq_autoencoder/src/ggdq_autoencoder.c": source,
        "ggdq.json": json.dumps({"name": "autoencoder"}),
    }
