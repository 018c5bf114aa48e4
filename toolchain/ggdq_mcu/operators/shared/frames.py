"""Windows of samples, one every so many of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def framed(samples: Array, window: int, step: int) -> Array:
    """Frames (N, count, window) of samples (N, length): all that lie within; a view."""
    return np.lib.stride_tricks.sliding_window_view(samples, window, axis=1)[:, ::step]
