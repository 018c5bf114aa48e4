"""Shapes and constants of the networks that frameworks make for the cases."""

from __future__ import annotations

import numpy as np

IMAGE, SEQUENCE, VECTOR = (6, 5, 3), (11, 3), (7,)
#: With the batch axis, channels first, as ONNX has them.
ONNX_IMAGE, ONNX_SEQUENCE, ONNX_VECTOR = (1, 3, 6, 5), (1, 3, 11), (1, 7)
#: Of the two tensors that TensorFlow's functions take: images, and rows.
TF_IMAGE, TF_ROWS = (7, 6, 4), (5, 4)


def random(*shape: int, seed: int = 0, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """Constants of a network."""
    return np.random.default_rng(seed + sum(shape)).uniform(low, high, shape).astype(np.float32)


def indices(*values: int) -> np.ndarray:
    """Axes, shapes and the like, as ONNX stores them."""
    return np.array(values, np.int64)


def number(value: float) -> np.ndarray:
    """A tensor without axes."""
    return np.array(value, np.float32)
