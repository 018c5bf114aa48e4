"""TFLite files that TensorFlow's converter makes, and what its reference interpreter computes."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def convert(function: Callable[..., Any], shapes: Sequence[tuple[int, ...]], path: Path) -> Path:
    """The float network of a TensorFlow function of tensors with those shapes, the batch of 1 included."""
    import tensorflow as tf

    traced = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])
    return _write(tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()]), path)


def convert_keras(model: Any, path: Path, samples: np.ndarray | None = None, floats: bool = False) -> Path:
    """A Keras model's network: in float, or in int8 calibrated on ``samples``, at its ends too unless ``floats``."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if not floats:
            converter.inference_input_type = converter.inference_output_type = tf.int8
    return _write(converter, path)


def _write(converter: Any, path: Path) -> Path:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        path.write_bytes(converter.convert())
    return path


class Interpreter:
    """TensorFlow's interpreter of a file: with the kernels that define the arithmetic, or (not ``reference``) with all."""

    def __init__(self, path: Path, reference: bool = True, every_tensor: bool = False) -> None:
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kinds = tf.lite.experimental.OpResolverType
            kind = kinds.BUILTIN_REF if reference else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self.inner = tf.lite.Interpreter(
                str(path), experimental_op_resolver_type=kind, experimental_preserve_all_tensors=every_tensor
            )
        self.inner.allocate_tensors()

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs, the batch of 1 included, for one sample of each input."""
        for detail, value in zip(self.inner.get_input_details(), inputs, strict=True):
            self.inner.set_tensor(detail["index"], value[None])
        self.inner.invoke()
        return [self.inner.get_tensor(detail["index"]) for detail in self.inner.get_output_details()]
