"""Positions of largest and smallest values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.arg_extremum import ArgExtremum
from operators.cases import Cases, Growth, Layer, onnx_node, tflite_function
from operators.cases._frameworks import TF_IMAGE
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Any number of positions, more than a byte tells among them."""
    count = draw(st.sampled_from([1, 2, 7, 256, 300]))
    return lowered(draw, ArgExtremum(count, draw(st.booleans())), [(draw(small), count, draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """No value before the position is as good, and none behind it is better."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, ArgExtremum)
    q = -q.astype(int) if operator.smallest else q.astype(int)
    for n, row, c in np.ndindex(q.shape[0], q.shape[1], q.shape[3]):
        column, place = q[n, row, :, c], int(found[n, row, 0, c])
        assert column[place] == max(column)
        assert all(value < column[place] for value in column[:place])


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (ArgExtremum(shape[1], draw(st.booleans())), {}), ranks=(3,)),
    tflite=[
        tflite_function("arg max", TF_IMAGE, lambda tf, x: tf.argmax(x, -1, output_type=tf.int32)),
        tflite_function("arg min of rows", TF_IMAGE, lambda tf, x: tf.argmin(x, 1, output_type=tf.int64)),
    ],
    onnx=[
        *(
            onnx_node((3, 4, 5), kind, axis=axis, keepdims=keep, select_last_index=last, moves=True)
            for kind in ("ArgMax", "ArgMin")
            for axis, keep, last in ((0, 1, 0), (-1, 0, 0), (1, 1, 1))
        ),
    ],
)
