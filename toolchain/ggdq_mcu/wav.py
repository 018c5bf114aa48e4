"""Recordings in .wav files, read with care: they are as untrusted as models."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError

Array = NDArray[Any]
_MOST_SAMPLES = 1 << 28


def read_wav(path: Path, rate: int) -> Array:
    """The samples (N,) int16 of a recording of one channel with 16 bits; GgdqError for anything else, and other rates."""
    where = f"recording {path}"
    try:
        with wave.open(str(path)) as file:
            found = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
            if found != (1, 16, rate):
                what = (
                    f"has {found[0]} channels of {found[1]} bits at {found[2]} Hz, the network takes 1 of 16 at {rate}"
                )
                raise GgdqError(what, where, f"sox {path.name} -c 1 -b 16 -r {rate} out.wav converts it")
            content = file.readframes(min(file.getnframes(), _MOST_SAMPLES))
    except FileNotFoundError as error:
        raise GgdqError("no such file", where) from error
    except (wave.Error, EOFError, OSError, ValueError) as error:
        raise GgdqError(f"not a readable .wav ({error})", where, "give PCM samples") from error
    if len(content) < 2:
        raise GgdqError("there is no sample in it", where)
    return np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.int16)
