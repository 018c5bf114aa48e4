"""How does a front end become part of a network? Its operators go before the network's input, which then are samples."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend.features import INPUT, SAMPLES, Features
from ggdq_mcu.frontend.micro import MicroFrontend
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape

_TFLM_RATIO = 256 / 666  # levels of 8 bits for a feature, in TensorFlow Lite Micro's audio preprocessor and in ESPHome


def attach(graph: Graph, features: Features) -> Graph:
    """The network with ``features`` before its one input: it takes int16 samples, as many as its frames are made of."""
    name, frames = _input(graph, features)
    samples = features.samples(frames)
    names = _names(graph, [node.name for node in features.chain(samples)])
    made = [Node(names[INPUT], Input(features.input_shape(samples), "int16"))]
    made += [
        replace(node, name=names[node.name], inputs=tuple(names[one] for one in node.inputs))
        for node in features.chain(samples)
    ]
    if graph.shapes[name] == (frames, features.width):
        made[-1] = replace(made[-1], name=name)
    else:
        made.append(Node(name, Reshape(graph.shapes[name]), (made[-1].name,)))
    return replace(graph, nodes=(*made, *(node for node in graph.nodes if node.name != name)))


def attach_kept(graph: Graph, network: QuantizedGraph, features: Features) -> tuple[Graph, QuantizedGraph]:
    """The same of a network that keeps its own integers, and their real meaning: features of 8 bits with zero point -128.

    In a network that keeps a state, an inference takes the samples that are new since the one before.
    """
    name, frames = _input(graph, features)
    form = network.by_name[name].format
    samples, operator = features.samples(frames), features.chain(features.window)[0].operator
    if isinstance(features, MicroFrontend):
        if (form.short, form.zero_point) != ("s8", -128):
            what = f"its input is {form.short} with zero point {form.zero_point}"
            fix = "micro-frontend gives s8 with zero point -128; build the network without --keep-quantization"
            raise GgdqError(what, f"input {name!r}", fix)
        unit = float(form.step) * _TFLM_RATIO
        operator = replace(features, unit=unit).operator(carried=network.keeps_state)
        samples = frames * features.step if network.keeps_state else samples
    elif network.keeps_state:
        fix = "of the front ends, micro-frontend alone goes on from one inference to the next"
        raise GgdqError("the network keeps a state", f"input {name!r}", fix)
    whole = features.input_shape(samples)
    first = _names(graph, [])[INPUT]
    shape = network.shapes[name]
    view = shape != (frames, features.width)
    own = _names(graph, ["features"])["features"] if view else name
    made = [Node(first, Input(whole, "int16")), Node(own, operator, (first,))]
    constants = operator.lower({}, [SAMPLES], form, [whole])
    formats: list[Format] = [SAMPLES, form]
    if view:
        made.append(Node(name, Reshape(shape), (own,)))
        formats.append(form)
    integers = [
        QuantizedNode(node.name, node.operator, node.inputs, form, constants if node.name == own else {})
        for node, form in zip(made, formats, strict=True)
    ]
    return (
        replace(graph, nodes=(*made, *(node for node in graph.nodes if node.name != name))),
        replace(network, nodes=(*integers, *(node for node in network.nodes if node.name != name))),
    )


def _input(graph: Graph, features: Features) -> tuple[str, int]:
    """The network's one input, and how many frames it takes."""
    if len(graph.inputs) != 1:
        raise GgdqError(f"the network has {len(graph.inputs)} inputs instead of one", "front end")
    name = graph.inputs[0]
    shape = graph.shapes[name]
    sizes = [size for size in shape if size != 1]
    frames = prod(shape) // features.width
    if sizes not in ([frames, features.width], [features.width] if frames == 1 else [], [frames]):
        what = f"takes {shape}, which are no frames of {features.width} features"
        raise GgdqError(what, f"input {name!r}", "give the front end the network was trained with")
    return name, frames


def _names(graph: Graph, wanted: list[str]) -> dict[str, str]:
    """For INPUT and each wanted name one that no node of the graph has."""
    taken = set(graph.by_name)
    result = {}
    for one in (INPUT, *wanted):
        name, count = one, 1
        while name in taken:
            count += 1
            name = f"{one}_{count}"
        taken.add(name)
        result[one] = name
    return result
