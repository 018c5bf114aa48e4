"""Cases that once went wrong, as small as they could be made."""

from __future__ import annotations

import numpy as np

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.quantization.options import Options
from network.test_random_networks import check

SANITIZED = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")


def test_windows_of_a_depthwise_convolution_may_see_padding_alone() -> None:
    generator = np.random.default_rng(0)
    operator = DepthwiseConv2D(Size(5, 1), 1, Size(1, 3), Padding(0, 1, 2, 0))
    weights = {"kernel": generator.normal(size=(5, 1, 4, 1)).astype(np.float32)}
    nodes = (Node("input", Input((7, 1, 4))), Node("depthwise", operator, ("input",), weights))
    samples = generator.normal(1, 2, (6, 7, 1, 4)).astype(np.float32)
    check(Graph("random", nodes, ("depthwise",)), samples, Options(), SANITIZED)


def test_an_output_may_be_the_input_itself() -> None:
    nodes = (Node("input", Input((3, 2))),)
    check(Graph("random", nodes, ("input",)), np.ones((4, 3, 2), np.float32), Options(), SANITIZED)
