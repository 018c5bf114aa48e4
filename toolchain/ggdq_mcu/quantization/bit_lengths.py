"""How many bits does each tensor get? What is given for its layer, or else what suits its size."""

from __future__ import annotations

from math import prod

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.quantization.options import Options

_SMALL = 1 / 16  # of the largest feature map: fewer bits would save next to no memory, and cost as much accuracy


def activation_bits(graph: Graph, node: Node, options: Options) -> int:
    """Bits of the node's output.

    Below 8 bits only the feature maps that fill the memory are narrow: inputs, outputs and what is small keep 8.
    What only softmax or its logarithm reads has 16 with ``wide_logits``.
    """
    if node.name in options.layer_bits:
        return options.layer_bits[node.name]
    readers = graph.consumers(node.name)
    inner = node.inputs and node.name not in graph.outputs
    if options.wide_logits and inner and readers and all(reader.operator.reads_wide for reader in readers):
        return 16
    if options.bits < 8 and not (inner and prod(graph.shapes[node.name]) > _SMALL * largest_feature_map(graph)):
        return 8
    return options.bits


def largest_feature_map(graph: Graph) -> int:
    """Elements of the largest feature map between the layers."""
    sizes = [prod(graph.shapes[node.name]) for node in graph.nodes if node.inputs and node.name not in graph.outputs]
    return max(sizes, default=0)


def weight_bits(node: Node, options: Options) -> int:
    """Bits of the node's weights, 2 to 16; GgdqError for others."""
    bits = options.layer_weight_bits.get(node.name, options.weight_bits)
    if not 2 <= bits <= 16:
        raise GgdqError(f"{bits} bits for a weight", fix="choose 2 to 16 bits")
    return bits
