"""Random layers that join, move or normalise values, for the tests on emulated cores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from emulated_library import LayerCase
from hypothesis import strategies as st
from layer_cases import channels, clips, formats, inputs, small

from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.extremum import Extremum
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.matmul import MatMul
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.prelu import PReLU
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.up_sampling2d import UpSampling2D


@st.composite
def joins(draw: Callable) -> LayerCase:
    """Two tensors, the second broadcast or, where they are concatenated, of any size along one axis."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    clip = {"low": low, "high": high}
    axis = draw(st.sampled_from([-1, -2, -3]))
    kinds = [Multiply(**clip), Extremum(**clip), Extremum(True, **clip), Concatenate(axis, **clip), Add(**clip)]
    operator: Operator = draw(st.sampled_from(kinds))
    second = [draw(st.sampled_from([1, size])) for size in shape]
    if isinstance(operator, Concatenate):
        second = list(shape)
        second[axis] = draw(small)
    shapes = (shape, tuple(second))
    sources = tuple(draw(formats((8, 8, 16))) for _ in shapes)
    output = draw(formats((8, 8, 16)))
    constants = operator.lower({}, sources, output, shapes)
    samples = tuple(inputs(draw, source, one) for source, one in zip(sources, shapes, strict=True))
    return LayerCase(operator, shapes, sources, output, constants, samples)


@st.composite
def products(draw: Callable) -> LayerCase:
    """Two stacks of matrices, either of them transposed, their leading axes broadcast."""
    rows, inner, columns = draw(small), draw(channels), draw(channels)
    turned = draw(st.booleans()), draw(st.booleans())
    low, high = draw(clips)
    operator = MatMul(*turned, draw(st.sampled_from([1.0, 0.125, -1.0])), low=low, high=high)
    leading = draw(st.sampled_from([((), ()), ((2,), (2,)), ((3, 2), (1, 2)), ((1, 2), (3, 1)), ((2,), ())]))
    first = (*leading[0], *((inner, rows) if turned[0] else (rows, inner)))
    second = (*leading[1], *((columns, inner) if turned[1] else (inner, columns)))
    shapes = (first, second)
    sources = tuple(draw(formats((8, 8, 16))) for _ in shapes)
    output = draw(formats((8, 8, 16)))
    constants = operator.lower({}, sources, output, shapes)
    samples = tuple(inputs(draw, source, one) for source, one in zip(sources, shapes, strict=True))
    return LayerCase(operator, shapes, sources, output, constants, samples)


@st.composite
def maps(draw: Callable) -> LayerCase:
    """One tensor with trained slopes, or normalised by position."""
    shape = (draw(small), draw(small), draw(channels))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    source, output = draw(formats((8, 8, 16))), draw(formats((8, 8, 16)))
    if draw(st.booleans()):
        operator: Operator = PReLU()
        weights = {"slope": generator.normal(0.2, 0.5, [draw(st.sampled_from([1, size])) for size in shape])}
    else:
        operator = LayerNormalization(1e-3, draw(st.booleans()))
        weights = {"gamma": generator.normal(1, 0.5, shape[-1]), "beta": generator.normal(0, 1, shape[-1])}
    constants = operator.lower(weights, [source], output, [shape])
    return LayerCase(operator, (shape,), (source,), output, constants, (inputs(draw, source, shape),))


@st.composite
def moves(draw: Callable) -> LayerCase:
    """One tensor, its values moved, repeated or interpolated."""
    shape = (draw(small), draw(small), draw(channels))
    form = draw(formats((8, 8, 16)))
    starts = tuple(draw(st.integers(0, size - 1)) for size in shape)
    steps = tuple(draw(st.integers(1, 2)) for _ in shape)
    sizes = tuple(-(-(a - b) // c) for a, b, c in zip(shape, starts, steps, strict=True))
    operator: Operator = draw(
        st.sampled_from(
            [
                Slice(starts, sizes, steps),
                Permute(tuple(draw(st.permutations([1, 2, 3])))),
                Broadcast(tuple(3 if size == 1 else size for size in shape)),
                UpSampling2D(Size(draw(st.integers(1, 3)), draw(st.integers(1, 3)))),
            ]
        )
    )
    return LayerCase(operator, (shape,), (form,), form, {}, (inputs(draw, form, shape),))
