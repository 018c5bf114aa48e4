"""Comparisons of two tensors."""

from __future__ import annotations

import operator as relations
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.compare import SIGNS, Compare
from operators.cases import Cases, Growth, Layer, onnx_nodes, tflite_function
from operators.cases._frameworks import TF_IMAGE, number, random
from operators.cases._growth import broadcasts
from operators.cases._layers import centred, lowered
from operators.cases._linear import channels, small
from operators.draws import aligned, formats

RELATIONS = {
    "equal": relations.eq,
    "not_equal": relations.ne,
    "greater": relations.gt,
    "greater_equal": relations.ge,
    "less": relations.lt,
    "less_equal": relations.le,
}


@st.composite
def layers(draw: Callable) -> Layer:
    """Two tensors, the second broadcast or not, of one format or of two."""
    shape = (draw(small), draw(small), draw(channels))
    second = tuple(draw(st.sampled_from([1, size])) for size in shape)
    one = draw(formats((8, 8, 16)))
    sources = [one, draw(st.sampled_from([one, draw(formats((8, 8, 16)))]))]
    return lowered(draw, Compare(draw(st.sampled_from(sorted(SIGNS)))), [shape, second], sources=sources)


def check(layer: Layer, found: np.ndarray) -> None:
    """Exact where the formats are equal; else wherever the values are further apart than the multipliers' rounding."""
    assert isinstance(layer.operator, Compare)
    first, second = aligned(centred(layer))
    steps = [form.step for form in layer.sources]
    a, b = np.broadcast_arrays(first * steps[0], second * steps[1])
    span = max(np.abs(a).max(), np.abs(b).max(), 1e-9)
    clear = np.ones(a.shape, bool) if layer.sources[0] == layer.sources[1] else np.abs(a - b) > 2.0**-7 * span
    wanted = RELATIONS[layer.operator.relation](a, b)
    np.testing.assert_array_equal(found[clear], wanted[clear])
    assert set(np.unique(found)) <= {0, 1}


TRUTHS = ["Less x z -> a", "Less x one -> b"]
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (Compare(draw(st.sampled_from(sorted(SIGNS)))), {}), joins=broadcasts),
    tflite=[
        case
        for name in SIGNS
        for case in (
            tflite_function(f"{name} of two", TF_IMAGE, lambda tf, x, n=name: getattr(tf, n)(x, tf.nn.relu(x))),
            tflite_function(f"{name} and a number", TF_IMAGE, lambda tf, x, n=name: getattr(tf, n)(0.3, x)),
            tflite_function(
                f"{name} and channels", TF_IMAGE, lambda tf, x, n=name: getattr(tf, n)(x, [0.1, 0.0, -1.0, 9.0])
            ),
        )
    ],
    onnx=[
        *(
            onnx_nodes(f"{kind} of two", (3, 4, 5), [f"{kind} x c -> b", ("Cast b -> y", {"to": 1})], True, c=value)
            for kind in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
            for value in (number(0.3), random(4, 1), random(3, 4, 5))
        ),
        onnx_nodes("Less of two tensors", (3, 4), ["Neg x -> n", "Less x n -> b", ("Cast b -> y", {"to": 1})]),
        onnx_nodes("Greater of a constant", (3, 4), ["Greater c x -> b", ("Cast b -> y", {"to": 1})], c=number(0.1)),
        *(
            onnx_nodes(
                f"{kind} {name}",
                (3, 4),
                [*TRUTHS, f"{kind} a {name} -> c", ("Cast c -> y", {"to": 1})],
                z=number(0),
                one=random(4),
                d=np.array([True, False, True, False]),
            )
            for kind in ("And", "Or", "Xor")
            for name in ("b", "d")
        ),
        onnx_nodes("Not", (3, 4), ["Less x z -> a", "Not a -> c", ("Cast c -> y", {"to": 1})], z=number(0)),
    ],
)
