"""Are the features those of the packages that networks are trained with? Differences, over noises and sounds like speech.

    python -m benchmarks.front_ends [--noises N] [--speech N]

micro-frontend is compared with the package pymicro-features, integer by integer; mel spectra and MFCC with their definition in
float64, whose presets the tests compare with tf.signal.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from benchmarks import speech
from numpy.typing import NDArray

from ggdq_mcu.frontend import MFCC, LogMel, MicroFrontend
from ggdq_mcu.frontend.spectrum import PRESETS
from ggdq_mcu.graph import Format

Array = NDArray[Any]


def reference(samples: Array) -> Array:
    """The features (frames, 40) of pymicro-features for a recording, as integers."""
    from pymicro_features import MicroFrontend as Reference

    front, content, features = Reference(), samples.astype("<i2").tobytes(), []
    while len(content) >= 320:
        found = front.process_samples(content[:320])
        content = content[2 * found.samples_read :]
        if found.features:
            features.append(np.round(np.array(found.features) / MicroFrontend().unit))
    return np.array(features).astype(np.int64)


def differences(recordings: Iterable[Array]) -> tuple[int, int, int]:
    """Recordings, features in them, and how many of these differ."""
    count = total = different = 0
    for samples in recordings:
        wanted = reference(samples)
        found = np.round(MicroFrontend()(samples) / MicroFrontend().unit).astype(np.int64)
        count, total = count + 1, total + wanted.size
        different += int((found[: len(wanted)] != wanted).sum()) + abs(found.size - wanted.size)
    return count, total, different


def sqnr(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Signal to noise in dB, over all recordings."""
    pairs = list(zip(wanted, found, strict=True))
    signal = sum(float((a.astype(np.float64) ** 2).sum()) for a, _ in pairs)
    noise = sum(float(((a.astype(np.float64) - b) ** 2).sum()) for a, b in pairs)
    return 10 * float(np.log10(signal / max(noise, 1e-300)))


def presets(waves: Sequence[Array]) -> Iterator[str]:
    """For each preset, real features against those of the integers, with 16 and with 8 bits of the output."""
    for name in PRESETS:
        for kind in (LogMel, MFCC):
            features = kind(preset=name, highest=4000.0 if name == "tf" else 8000.0)
            wanted = [features.real(wave) for wave in waves]
            low, high = min(x.min() for x in wanted), max(x.max() for x in wanted)
            texts = []
            for bits in (16, 8):
                step = float(high - low) / ((1 << bits) - 2)
                form = Format(bits, True, step, -(1 << (bits - 1)) - round(low / step))
                found = [form.dequantize(features.integers(wave, form)) for wave in waves]
                texts.append(f"{bits} bits {sqnr(wanted, found):.1f} dB")
            yield f"{kind.__name__:6} {name:10} {', '.join(texts)}"


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noises", type=int, default=1000)
    parser.add_argument("--speech", type=int, default=50)
    arguments = parser.parse_args()
    for name, recordings in (
        ("noises", speech.noises(arguments.noises)),
        ("speech", speech.speech(arguments.speech)),
    ):
        count, total, different = differences(recordings)
        print(f"micro-frontend  {name}: {count} recordings, {total} features, {different} differ")
    for line in presets(list(speech.speech(arguments.speech))):
        print(line)


if __name__ == "__main__":
    main()
