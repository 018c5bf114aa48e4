"""A convolution that has one output position left is a dense layer, whose kernels do not work on five pixels at a time."""

from __future__ import annotations

from dataclasses import replace

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.quantized import QuantizedNode
from ggdq_mcu.graph.window import Size, extent
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice


def as_dense(node: QuantizedNode, image: Shape, source: Format, names: tuple[str, str]) -> list[QuantizedNode]:
    """The same from other operators, last the node of the same name; the node alone where it is no such convolution.

    Pixels that a dilated window leaves out are left out by a copy. ``source`` is the format of the ``image``, ``names`` are
    those of the nodes between.
    """
    conv = node.operator
    if (
        type(conv) is not Conv2D  # one that keeps another arithmetic has other constants
        or conv.groups > 1
        or any(conv.padding)
        or image[:2] != extent(conv.kernel_size, conv.dilation)
    ):
        return [node]
    inputs, nodes = node.inputs, []
    if conv.dilation != Size(1, 1):
        taps = Slice((0, 0, 0), (*conv.kernel_size, image[2]), (*conv.dilation, 1))
        nodes.append(QuantizedNode(names[0], taps, inputs, source))
        inputs = (names[0],)
    kernel = node.constants["kernel"].reshape(-1, conv.filters)
    nodes.append(QuantizedNode(names[1], Reshape((1, 1, len(kernel))), inputs, source))
    dense = Dense(conv.filters, low=conv.low, high=conv.high)
    return [*nodes, replace(node, operator=dense, inputs=(names[1],), constants={**node.constants, "kernel": kernel})]
