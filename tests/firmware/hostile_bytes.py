"""Bytes that a serial line may bring: frames and commands, spoiled in every way, from a seed."""

from __future__ import annotations

import numpy as np

from ggdq_mcu.emulation.protocol import Frame, FrameType, encode

_WORDS = [
    *("db", "load", "print", "infer", "results", "name", "profile", "timestamp", "help"),
    *("-1", "0", "1", "2", "7", "8", "00", "0a0b", "zz", "99999999999", "%", "%%", "\r\n"),
]


def frames(seed: int, count: int, payload: bytes) -> list[bytes]:
    """``count`` frames; ``payload`` is one that the network takes."""
    rng = np.random.default_rng(seed)
    return [_frame(rng, payload) for _ in range(count)]


def commands(seed: int, count: int) -> list[bytes]:
    """``count`` commands of the benchmark's protocol."""
    rng = np.random.default_rng(seed)
    return [_command(rng) for _ in range(count)]


def _frame(rng: np.random.Generator, payload: bytes) -> bytes:
    """A frame of any type with the right payload or another; half of them spoiled."""
    if rng.random() < 0.4:
        payload = rng.bytes(int(rng.integers(0, 3 * len(payload))))
    kind = int(rng.choice([*FrameType, FrameType.INPUT, FrameType.INPUT, FrameType.RUN, 0, 0x44]))
    offset = int(rng.choice([0, 0, 0, 1, 256, 2**31, 2**32 - 1, int(rng.integers(600))]))
    line = bytearray(encode(Frame(kind, int(rng.integers(4)), payload, offset)))
    for _ in range(int(rng.integers(0, 4))):
        _spoil(rng, line)
    return bytes(line)


def _spoil(rng: np.random.Generator, line: bytearray) -> None:
    """Loses, doubles, changes or inserts bytes, or cuts the end off."""
    at = int(rng.integers(max(1, len(line))))
    way = rng.integers(5)
    if way == 0:
        del line[at : at + 1]
    elif way == 1:
        line[at:at] = line[at : at + 1]
    elif way == 2 and line:
        line[at] ^= int(rng.integers(1, 256))
    elif way == 3:
        line[at:at] = rng.bytes(int(rng.integers(1, 20)))
    else:
        del line[at:]


def _command(rng: np.random.Generator) -> bytes:
    """Words of the protocol in any order, bytes to load, or noise."""
    way = rng.integers(4)
    if way == 0:
        line = bytearray(rng.bytes(int(rng.integers(0, 200))))
    elif way == 1:
        line = bytearray(b"db " + rng.bytes(int(rng.integers(0, 60))).hex().encode())
    else:
        words = rng.choice(_WORDS, int(rng.integers(1, 7)))
        line = bytearray(" ".join(words).encode())
    if rng.random() < 0.3:
        _spoil(rng, line)
    return bytes(line) + b"%"
