"""How are the operators of quantized ONNX networks written out? As those on real numbers between Quantize and Dequantize.

QLinearConv, QLinearMatMul, MatMulInteger, ConvInteger, DynamicQuantizeLinear, ONNX Runtime's QLinear* operators, QGemm and
DynamicQuantizeLSTM, and the Quant nodes of Brevitas and QONNX. Integers that are not scaled stand for themselves, as
real numbers; what DynamicQuantizeLinear makes of an input stays that input, with a scale of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ggdq_mcu.errors import GgdqError

_MICROSOFT = "com.microsoft"
_QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "onnx.brevitas.quant")
_OWN = ("", "ai.onnx")
_FEWEST = {"QLinearConv": 8, "QLinearMatMul": 8, "DynamicQuantizeLSTM": 12, "Quant": 4, "BipolarQuant": 2, "QGemm": 6}


def rewritten(model: Any) -> Any:
    """The model without operators of quantized networks other than QuantizeLinear, DequantizeLinear and Quant."""
    known = {(domain, kind) for domain, kind in _WAYS}
    if not any((_domain(node), node.op_type) in known for node in model.graph.node):
        return model
    nodes: list[Any] = []
    for index, node in enumerate(model.graph.node):
        way = _WAYS.get((_domain(node), node.op_type))
        if way is None:
            nodes.append(node)
            continue
        name = node.name or (node.output[0] if node.output else str(index))
        if len(node.input) < _FEWEST.get(node.op_type, 1) or not node.output:
            raise GgdqError(f"has {len(node.input)} inputs", f"node {name[:80]!r} ({node.op_type})")
        nodes.extend(way(node, name))
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _domain(node: Any) -> str:
    return "" if node.domain in _OWN else "qonnx" if node.domain in _QONNX else str(node.domain)


def _made(kind: str, inputs: Iterable[str], outputs: Iterable[str], name: str, attributes: Iterable[Any] = ()) -> Any:
    from onnx import helper

    node = helper.make_node(kind, list(inputs), list(outputs), name=name)
    node.attribute.extend(attributes)
    return node


def _inputs(node: Any, count: int) -> list[str]:
    """The names of inputs, "" where one is left out."""
    return [*node.input, *[""] * count][:count]


def _real(name: str, part: str, value: str, scale: str, zero: str, axis: int | None = None) -> Any:
    """DequantizeLinear of a value."""
    from onnx import helper

    attributes = [] if axis is None else [helper.make_attribute("axis", axis)]
    inputs = [value, scale, zero] if zero else [value, scale]
    return _made("DequantizeLinear", inputs, [f"{name}/{part}"], f"{name}_{part}", attributes)


def _quantized(node: Any, name: str, scale: str, zero: str) -> Any:
    """QuantizeLinear of what the node makes in real numbers."""
    inputs = [f"{name}/real", scale, zero] if zero else [f"{name}/real", scale]
    return _made("QuantizeLinear", inputs, [node.output[0]], f"{name}_quantized")


def _bias(name: str, part: str, bias: str, input_scale: str, weight_scale: str) -> list[Any]:
    """A bias in steps of inputs times weights, made real."""
    step = _made("Mul", [input_scale, weight_scale], [f"{name}/step"], f"{name}_step")
    return [step, _real(name, part, bias, f"{name}/step", "", 0)]


def _linear_conv(node: Any, name: str) -> list[Any]:
    """QLinearConv: x, w, their scales and zero points, those of the output, and a bias in steps of both."""
    x, xs, xz, w, ws, wz, ys, yz, bias = _inputs(node, 9)
    made = [_real(name, "x", x, xs, xz), _real(name, "w", w, ws, wz, 0)]
    inputs = [f"{name}/x", f"{name}/w"]
    if bias:
        made += _bias(name, "b", bias, xs, ws)
        inputs.append(f"{name}/b")
    return [*made, _made("Conv", inputs, [f"{name}/real"], name, node.attribute), _quantized(node, name, ys, yz)]


def _linear_matmul(node: Any, name: str) -> list[Any]:
    """QLinearMatMul; a scale of several numbers is by column of the second matrix."""
    a, as_, az, b, bs, bz, ys, yz = _inputs(node, 8)
    product = _made("MatMul", [f"{name}/a", f"{name}/b"], [f"{name}/real"], name)
    return [_real(name, "a", a, as_, az), _real(name, "b", b, bs, bz, -1), product, _quantized(node, name, ys, yz)]


def _gemm(node: Any, name: str) -> list[Any]:
    """QGemm of ONNX Runtime; without an output scale the output is real."""
    a, as_, az, b, bs, bz, bias, ys, yz = _inputs(node, 9)
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    made = [_real(name, "a", a, as_, az), _real(name, "b", b, bs, bz, 0 if turned else 1)]
    inputs = [f"{name}/a", f"{name}/b"]
    if bias:
        made += _bias(name, "c", bias, as_, bs)
        inputs.append(f"{name}/c")
    output = f"{name}/real" if ys else node.output[0]
    made.append(_made("Gemm", inputs, [output], name, node.attribute))
    return [*made, _quantized(node, name, ys, yz)] if ys else made


def _pair(kind: str) -> Callable[[Any, str], list[Any]]:
    """QLinearAdd and QLinearMul."""

    def way(node: Any, name: str) -> list[Any]:
        a, as_, az, b, bs, bz, ys, yz = _inputs(node, 8)
        both = _made(kind, [f"{name}/a", f"{name}/b"], [f"{name}/real"], name)
        return [_real(name, "a", a, as_, az), _real(name, "b", b, bs, bz), both, _quantized(node, name, ys, yz)]

    return way


def _single(kind: str, *without: str) -> Callable[[Any, str], list[Any]]:
    """QLinear operators of one input; attributes ``without`` are those that only they have."""

    def way(node: Any, name: str) -> list[Any]:
        x, xs, xz, ys, yz = _inputs(node, 5)
        if any(one.name == "channels_last" and one.i for one in node.attribute):
            raise GgdqError("channels_last is not supported", f"node {name[:80]!r} ({node.op_type})")
        attributes = [one for one in node.attribute if one.name not in ("channels_last", *without)]
        made = _made(kind, [f"{name}/x"], [f"{name}/real"], name, attributes)
        return [_real(name, "x", x, xs, xz), made, _quantized(node, name, ys, yz)]

    return way


def _concat(node: Any, name: str) -> list[Any]:
    """QLinearConcat: scale and zero point of the output, then value, scale and zero point of each input."""
    ys, yz, *rest = node.input
    parts = [rest[index : index + 3] for index in range(0, len(rest) - 2, 3)]
    made = [_real(name, f"x{index}", *part) for index, part in enumerate(parts)]
    names = [f"{name}/x{index}" for index in range(len(parts))]
    joined = _made("Concat", names, [f"{name}/real"], name, node.attribute)
    return [*made, joined, _quantized(node, name, ys, yz)]


def _integers(kind: str, second: int) -> Callable[[Any, str], list[Any]]:
    """MatMulInteger and ConvInteger: the values less their zero points, as real numbers."""

    def way(node: Any, name: str) -> list[Any]:
        a, b, az, bz = _inputs(node, 4)
        made = [*_less(name, "a", a, az, None), *_less(name, "b", b, bz, second)]
        return [*made, _made(kind, [f"{name}/a", f"{name}/b"], [node.output[0]], name, node.attribute)]

    return way


def _less(name: str, part: str, value: str, zero: str, axis: int | None) -> list[Any]:
    """A value of integers without its zero point: DequantizeLinear with a scale of 1, as many as zero points."""
    from onnx import TensorProto, helper

    to = helper.make_attribute("to", TensorProto.FLOAT)
    if not zero:
        return [_made("Cast", [value], [f"{name}/{part}"], f"{name}_{part}", [to])]
    return [
        _made("Equal", [zero, zero], [f"{name}/{part}_true"], f"{name}_{part}_true"),
        _made("Cast", [f"{name}/{part}_true"], [f"{name}/{part}_one"], f"{name}_{part}_one", [to]),
        _real(name, part, value, f"{name}/{part}_one", zero, axis),
    ]


def _dynamic(node: Any, name: str) -> list[Any]:
    """DynamicQuantizeLinear: the input itself, in steps of 1 from 0."""
    from onnx import TensorProto, helper

    made = [_made("Identity", [node.input[0]], [node.output[0]], name)]
    for index, kind in ((1, TensorProto.FLOAT), (2, TensorProto.UINT8)):
        if index < len(node.output) and node.output[index]:
            value = helper.make_attribute("value", helper.make_tensor("", kind, [], [1 if index == 1 else 0]))
            made.append(_made("Constant", [], [node.output[index]], f"{name}_{index}", [value]))
    return made


def _dynamic_lstm(node: Any, name: str) -> list[Any]:
    """DynamicQuantizeLSTM: kernels (D, C, 4 * units), turned, with scales of their own."""
    from onnx import helper

    x, w, r, bias, lens, h, c, peepholes, ws, wz, rs, rz = _inputs(node, 12)
    turn = helper.make_attribute("perm", [0, 2, 1])
    made = []
    for part, value, scale, zero in (("w", w, ws, wz), ("r", r, rs, rz)):
        made.append(_real(name, f"{part}_real", value, scale, zero))
        made.append(_made("Transpose", [f"{name}/{part}_real"], [f"{name}/{part}"], f"{name}_{part}", [turn]))
    inputs = [x, f"{name}/w", f"{name}/r", bias, lens, h, c, peepholes]
    while not inputs[-1]:
        inputs.pop()
    return [*made, _made("LSTM", inputs, node.output, name, node.attribute)]


def _quant(node: Any, name: str) -> list[Any]:
    """Quant and BipolarQuant of QONNX, in ONNX's own domain."""
    return [_made(node.op_type, node.input, node.output, name, node.attribute)]


def _own(kind: str) -> Callable[[Any, str], list[Any]]:
    """An operator of ONNX Runtime that ONNX has too."""
    return lambda node, name: [_made(kind, node.input, node.output, name, node.attribute)]


def _fused_conv(node: Any, name: str) -> list[Any]:
    """FusedConv: a convolution, a tensor that is added, an activation."""
    from onnx import helper

    attributes = {one.name: one for one in node.attribute}
    kind = attributes.pop("activation").s.decode("utf8", "replace") if "activation" in attributes else ""
    numbers = list(attributes.pop("activation_params").floats) if "activation_params" in attributes else []
    x, w, bias, added = _inputs(node, 4)
    last = f"{name}/conv" if kind or added else node.output[0]
    made = [_made("Conv", [one for one in (x, w, bias) if one], [last], name, attributes.values())]
    if added:
        made.append(_made("Add", [last, added], [f"{name}/sum" if kind else node.output[0]], f"{name}_sum"))
        last = f"{name}/sum"
    names = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "HardSwish": ()}
    if kind == "Clip":
        bounds = [helper.make_attribute("value_float", number) for number in numbers]
        made += [_made("Constant", [], [f"{name}/{i}"], f"{name}_{i}", [one]) for i, one in enumerate(bounds)]
        made.append(_made("Clip", [last, *(f"{name}/{i}" for i in range(len(bounds)))], node.output, f"{name}_clip"))
    elif kind:
        given = [helper.make_attribute(key, number) for key, number in zip(names.get(kind, ()), numbers, strict=False)]
        made.append(_made(kind, [last], node.output, f"{name}_{kind}", given))
    return made


_WAYS: dict[tuple[str, str], Callable[[Any, str], list[Any]]] = {
    ("", "QLinearConv"): _linear_conv,
    ("", "QLinearMatMul"): _linear_matmul,
    ("", "MatMulInteger"): _integers("MatMul", -1),
    ("", "ConvInteger"): _integers("Conv", 0),
    ("", "DynamicQuantizeLinear"): _dynamic,
    (_MICROSOFT, "DynamicQuantizeLSTM"): _dynamic_lstm,
    (_MICROSOFT, "FusedConv"): _fused_conv,
    (_MICROSOFT, "Gelu"): _own("Gelu"),
    (_MICROSOFT, "QuantizeLinear"): _own("QuantizeLinear"),
    (_MICROSOFT, "DequantizeLinear"): _own("DequantizeLinear"),
    (_MICROSOFT, "QGemm"): _gemm,
    (_MICROSOFT, "QLinearAdd"): _pair("Add"),
    (_MICROSOFT, "QLinearMul"): _pair("Mul"),
    (_MICROSOFT, "QLinearConcat"): _concat,
    (_MICROSOFT, "QLinearAveragePool"): _single("AveragePool"),
    (_MICROSOFT, "QLinearGlobalAveragePool"): _single("GlobalAveragePool"),
    (_MICROSOFT, "QLinearLeakyRelu"): _single("LeakyRelu"),
    (_MICROSOFT, "QLinearSigmoid"): _single("Sigmoid"),
    (_MICROSOFT, "QLinearSoftmax"): _single("Softmax", "opset"),
    ("qonnx", "Quant"): _quant,
    ("qonnx", "BipolarQuant"): _quant,
}
