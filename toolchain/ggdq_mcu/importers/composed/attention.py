"""Attention: products of queries and keys, their softmax, and the values that it weighs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Shape
from ggdq_mcu.operators.activation import Activation, activation_node
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.matmul import MatMul
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.sources.keras import TENSOR, KerasLayer, Outputs, takes

Array = NDArray[Any]
_NAMES = ("query", "key", "value")


@takes("query", "key", "value", "return_attention_scores")
def multi_head(layer: KerasLayer) -> list[Node] | Outputs:
    """MultiHeadAttention and GroupedQueryAttention of sequences, to themselves or to others; no masks."""
    if layer.flag("use_gate", False) or layer.config.get("sliding_window") is not None:
        raise layer.error("use_gate and sliding_window are not supported", "leave them out")
    if any(len(shape) != 2 for shape in layer.shapes) or not 1 <= len(layer.inputs) <= 3:
        raise layer.error(f"its inputs {layer.shapes} are not sequences (steps, channels)")
    grouped = layer.class_name == "GroupQueryAttention"
    heads = layer.integer("num_query_heads" if grouped else "num_heads")
    groups = layer.integer("num_key_value_heads") if grouped else heads
    size = layer.integer("head_dim" if grouped else "key_dim")
    depth = size if grouped else layer.integer("value_dim", size)
    if heads % groups:
        raise layer.error(f"{groups} heads of keys do not divide {heads} of queries")
    query, key, value = _query_key_value(layer)
    shapes = {
        name: layer.shapes[layer.inputs.index(one)][-1] for name, one in zip("qkv", (query, key, value), strict=True)
    }
    weights = _projections(layer, shapes, {"q": (heads, size), "k": (groups, size), "v": (groups, depth)})
    parts = Composition(layer)

    def projected(name: str, source: str, count: int, width: int) -> str:
        """(steps, channels) -> (count, steps, width)"""
        row = parts.add(Dense(count * width), source, weights=weights[name])
        apart = parts.reshape(row, (parts.shapes[source][0], count, width))
        return parts.permute(apart, (1, 0, 2))

    q, k, v = (
        projected("q", query, heads, size),
        projected("k", key, groups, size),
        projected("v", value, groups, depth),
    )
    if groups != heads:
        k, v = (_repeated(parts, one, heads // groups) for one in (k, v))
    scores = parts.add(MatMul(transpose_second=True, factor=size**-0.5), q, k)
    shares = parts.add(Softmax(), scores)
    steps = parts.shapes[query][0]
    seen = parts.reshape(parts.permute(parts.add(MatMul(), shares, v), (1, 0, 2)), (steps, heads * depth))
    result = parts.add(Dense(weights["o"]["kernel"].shape[1]), seen, weights=weights["o"])
    return parts.outputs(result, shares) if layer.keywords.get("return_attention_scores") else parts.done(result)


def _query_key_value(layer: KerasLayer) -> tuple[str, str, str]:
    """Names of the three, called query, value, key in this order; the key is the value by default."""
    if any(layer.keywords.get(name, TENSOR) is not TENSOR for name in _NAMES):
        raise layer.error("its query, key or value is not a tensor")
    named = [name for name in layer.keywords if name in _NAMES]
    positional = layer.inputs[: len(layer.inputs) - len(named)]
    given = dict(zip(("query", "value", "key"), positional, strict=False))
    given |= dict(zip(named, layer.inputs[len(positional) :], strict=True))
    if "query" not in given or "value" not in given:
        raise layer.error("needs a query and a value")
    return given["query"], given.get("key", given["value"]), given["value"]


def _projections(
    layer: KerasLayer, channels: Mapping[str, int], sizes: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, Array]]:
    """Kernels and biases of the four dense layers, as matrices: of query, key, value and output."""
    biased = layer.flag("use_bias", True)
    shapes: dict[str, Shape] = {}
    for name, (count, width) in sizes.items():
        shapes[f"{name}_kernel"] = (channels[name], count, width)
        shapes |= {f"{name}_bias": (count, width)} if biased else {}
    given = layer.config.get("output_shape")
    out = given[0] if isinstance(given, list) and len(given) == 1 else given
    units = channels["q"] if out is None else layer.positive("output_shape", out)
    shapes["o_kernel"] = (sizes["q"][0], sizes["v"][1], units)
    shapes |= {"o_bias": (units,)} if biased else {}
    taken = layer.take(**shapes)
    result: dict[str, dict[str, Array]] = {name: {} for name in "qkvo"}
    for key, one in taken.items():
        name, kind = key.split("_")
        flat = (prod(one.shape[:-1]), one.shape[-1]) if name == "o" else (one.shape[0], prod(one.shape[1:]))
        result[name][kind] = one.ravel() if kind == "bias" else one.reshape(flat)
    return result


def _repeated(parts: Composition, value: str, times: int) -> str:
    """Each head (heads, steps, width) ``times`` times, one after the other."""
    heads, steps, width = parts.shapes[value]
    apart = parts.reshape(value, (heads, 1, steps, width))
    return parts.reshape(parts.add(Broadcast((heads, times, steps, width)), apart), (heads * times, steps, width))


@takes("return_attention_scores")
def attention(layer: KerasLayer) -> list[Node] | Outputs:
    """Attention: by products ("dot"), with or without a scale, of query, value and, perhaps, key; no masks."""
    query, value, key = _sequences(layer)
    if layer.text("score_mode", "dot") != "dot":
        raise layer.error("score_mode other than dot is not supported", "use dot, or AdditiveAttention")
    scale = float(layer.take(scale=())["scale"]) if layer.flag("use_scale", False) else 1.0
    parts = Composition(layer)
    scores = parts.add(MatMul(transpose_second=True, factor=scale), query, key)
    return _weighed(layer, parts, scores, value)


@takes("return_attention_scores")
def additive(layer: KerasLayer) -> list[Node] | Outputs:
    """AdditiveAttention: sums of tanh(query + key), with or without scales; no masks."""
    query, value, key = _sequences(layer)
    parts = Composition(layer)
    (rows, channels), (columns, _) = parts.shapes[query], parts.shapes[key]
    scale = layer.take(scale=(channels,))["scale"] if layer.flag("use_scale", True) else np.ones(channels)
    pairs = parts.add(Add(), parts.reshape(query, (rows, 1, channels)), parts.reshape(key, (1, columns, channels)))
    summed = parts.add(Dense(1), parts.add(Activation("tanh"), pairs), weights={"kernel": scale[:, None]})
    return _weighed(layer, parts, parts.reshape(summed, (rows, columns)), value)


def _sequences(layer: KerasLayer) -> tuple[str, str, str]:
    if not 2 <= len(layer.inputs) <= 3 or any(len(shape) != 2 for shape in layer.shapes):
        raise layer.error(f"its inputs {layer.shapes} are not two or three sequences (steps, channels)")
    query, value = layer.inputs[:2]
    return query, value, layer.inputs[-1] if len(layer.inputs) == 3 else value


def _weighed(layer: KerasLayer, parts: Composition, scores: str, value: str) -> list[Node] | Outputs:
    shares = parts.add(Softmax(), scores)
    result = parts.add(MatMul(), shares, value)
    return parts.outputs(result, shares) if layer.keywords.get("return_attention_scores") else parts.done(result)


def dot_product(layer: KerasLayer) -> list[Node]:
    """DotProductAttention of keras.ops: (steps, heads, channels); no mask, no bias."""
    if layer.config.get("is_causal") or layer.config.get("attn_logits_soft_cap") is not None:
        raise layer.error("is_causal and attn_logits_soft_cap are not supported", "leave them out")
    if len(layer.inputs) != 3 or any(len(shape) != 3 for shape in layer.shapes):
        raise layer.error(f"its inputs {layer.shapes} are not three of (steps, heads, channels)")
    parts = Composition(layer)
    query, key, value = (parts.permute(one, (1, 0, 2)) for one in layer.inputs)
    scale = layer.number("scale", layer.shapes[0][-1] ** -0.5)
    shares = parts.add(Softmax(), parts.add(MatMul(transpose_second=True, factor=scale), query, key))
    return parts.done(parts.permute(parts.add(MatMul(), shares, value), (1, 0, 2)))


def dot(layer: KerasLayer) -> list[Node]:
    """Dot, of two tensors over one axis of each, normalised or not."""
    if len(layer.inputs) != 2:
        raise layer.error(f"has {len(layer.inputs)} inputs instead of two")
    given = layer.config.get("axes")
    pair = list(given) if isinstance(given, list | tuple) else [given, given]
    if len(pair) != 2:
        raise layer.error(f"axes {given} are not one or two")
    parts, rows = Composition(layer), []
    for source, shape, axis in zip(layer.inputs, layer.shapes, pair, strict=True):
        place = layer.axis("axes", len(shape), axis)
        kept = [one for one in range(len(shape)) if one != place]
        moved = parts.permute(source, [*kept, place])
        if layer.flag("normalize", False):
            count = shape[place]
            unit = LayerNormalization(1e-12 / count, centred=False)
            moved = parts.add(unit, moved, weights={"gamma": np.full(count, count**-0.5)})
        rows.append(parts.reshape(moved, (prod(shape[one] for one in kept), shape[place])))
    rest = [
        size
        for shape, axis in zip(layer.shapes, pair, strict=True)
        for place, size in enumerate(shape)
        if place != layer.axis("axes", len(shape), axis)
    ]
    product = parts.add(MatMul(transpose_second=True), *rows)
    return parts.done(parts.reshape(product, tuple(rest) or (1,)))


def matrix_product(layer: KerasLayer) -> list[Node]:
    """Matmul and Dot of two tensors, or of a tensor and a constant matrix."""
    parts = Composition(layer)
    if len(layer.arguments) != 2 or layer.arguments[0] is not TENSOR:
        raise layer.error("is not a tensor and a tensor or constant", "let the first factor be a tensor")
    if layer.arguments[1] is TENSOR:
        if layer.class_name == "Dot" or any(len(shape) < 2 for shape in layer.shapes):
            raise layer.error(f"a product of tensors {layer.shapes} is not supported", "use Matmul of matrices")
        return parts.done(parts.add(MatMul(), *layer.inputs))
    matrix = layer.array("its argument", layer.arguments[1])
    if matrix.ndim != 2 or (layer.class_name == "Tensordot" and layer.config.get("axes") != 1):
        raise layer.error(f"a constant of shape {matrix.shape} is not a matrix", "use a matrix")
    return parts.done(parts.add(Dense(matrix.shape[1]), layer.source, weights={"kernel": matrix}))


def einsum_dense(layer: KerasLayer) -> list[Node]:
    """EinsumDense whose equation keeps leading axes and contracts the others with the kernel, like a dense layer."""
    equation = layer.text("equation").replace(" ", "").replace("...", "")
    try:
        (source, kernel), result = equation.split("->")[0].split(","), equation.split("->")[1]
    except (ValueError, IndexError) as error:
        raise layer.error(f"equation {equation[:60]!r} is not 'inputs,kernel->outputs'") from error
    source, result, spared = source[1:], result[1:], "..." in layer.text("equation")
    contracted = [letter for letter in source if letter in kernel]
    made = [letter for letter in kernel if letter not in contracted]
    lead = [letter for letter in source if letter not in contracted]
    if spared or len(source) != len(layer.shape) or any(one in result for one in contracted):
        raise layer.error(f"equation {equation[:60]!r} is not supported", "use one like abc,cd->abd")
    if sorted(result) != sorted([*lead, *made]) or len(set(source + "".join(made))) != len(source) + len(made):
        raise layer.error(f"equation {equation[:60]!r} is not supported", "use one like abc,cd->abd")
    stored = layer.stored[0].shape if layer.stored else ()
    if len(stored) != len(kernel):
        raise layer.error(f"a kernel of shape {tuple(stored)} does not fit {equation[:60]!r}")
    sizes = dict(zip(kernel, stored, strict=True)) | dict(zip(source, layer.shape, strict=True))
    bias_axes = str(layer.config.get("bias_axes") or "")
    shape = [sizes[one] if one in bias_axes else 1 for one in result]
    first = next((place for place, one in enumerate(result) if one in bias_axes), len(shape))
    weights = layer.take(
        kernel=tuple(sizes[one] for one in kernel), **({"bias": tuple(shape[first:])} if bias_axes else {})
    )
    parts = Composition(layer)
    moved = parts.permute(layer.source, [source.index(one) for one in (*lead, *contracted)])
    rows = parts.reshape(moved, (*(sizes[one] for one in lead), prod(sizes[one] for one in contracted)))
    matrix = weights["kernel"].transpose([kernel.index(one) for one in (*contracted, *made)])
    units = prod(sizes[one] for one in made)
    constants: dict[str, Array] = {"kernel": matrix.reshape(-1, units)}
    if bias_axes:
        if not set(bias_axes) <= set(made):
            raise layer.error(f"bias_axes {bias_axes[:20]!r} are not axes of the kernel's outputs")
        whole = weights["bias"].reshape(shape).transpose([result.index(one) for one in (*lead, *made)])
        target = (*(1 for _ in lead), *(sizes[one] for one in made))
        constants["bias"] = np.broadcast_to(whole, target).ravel()
    product = parts.reshape(
        parts.add(Dense(units), rows, weights=constants), tuple(sizes[one] for one in (*lead, *made))
    )
    done = parts.permute(product, [[*lead, *made].index(one) for one in result])
    return [*parts.nodes, activation_node(layer, done)]


LAYERS: Mapping[str, Callable[..., Any]] = {
    "AdditiveAttention": additive,
    "Attention": attention,
    "Dot": dot,
    "EinsumDense": einsum_dense,
    "GroupQueryAttention": multi_head,
    "GroupedQueryAttention": multi_head,
    "MultiHeadAttention": multi_head,
}
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("Dot", "Matmul", "Tensordot"), matrix_product),
    "DotProductAttention": dot_product,
}
