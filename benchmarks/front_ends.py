"""Are the features those of the packages that networks are trained with? Differences, over noises and sounds like speech.

    python -m benchmarks.front_ends [--noises N] [--speech N]

micro-frontend is compared with the package pymicro-features, integer by integer.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import numpy as np
from benchmarks import speech
from numpy.typing import NDArray

from ggdq_mcu.frontend import MicroFrontend

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


if __name__ == "__main__":
    main()
