"""What is equal is there once: constants, kernels, routines."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.layers import make_layers
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan

FORMAT = Format(8, False, 0.02)


def layer(name: str, source: str, weight: int = 100, bias: int = 5) -> QuantizedNode:
    constants = {
        "kernel": np.full((1, 1, 8, 8), weight, np.int8),
        "bias": np.full(8, bias, np.int64),
        "shift": np.arange(8, dtype=np.int64),
        "wide": np.array(0),
    }
    return QuantizedNode(name, Conv2D(Size(1, 1), 8), (source,), FORMAT, constants)


def planned(*layers: QuantizedNode, core: str = "host") -> Plan:
    nodes = (QuantizedNode("input", Input((5, 5, 8)), (), FORMAT), *layers)
    return make_plan(QuantizedGraph("net", nodes, (nodes[-1].name,)), CORES[core])


def defined(files: dict[str, str]) -> list[str]:
    return re.findall(r"^_Alignas\(8\) const \w+ (\w+)\[", files["ggdq_net_weights.c"], re.MULTILINE)


def test_equal_constants_are_one_array() -> None:
    plan = planned(layer("a", "input"), layer("b", "a", weight=90), layer("a_b", "b"))
    names = defined(render_network(plan, "net"))
    assert len(names) == len(set(names))
    assert "ggdq_net_a_weights" in names
    assert "ggdq_net_b_weights" in names
    assert [name for name in names if name.startswith("ggdq_net_a_b_")] == []
    assert (
        sum(value.nbytes for layer in make_layers(plan, "net") for _, value in layer.own_arrays) == plan.constant_bytes
    )


def test_a_borrowed_array_is_passed_under_its_owners_name() -> None:
    plan = planned(layer("a", "input"), layer("b", "a"))
    first, second = make_layers(plan, "net")
    assert second.arguments == first.arguments
    assert second.own_arrays == []


def test_the_same_bytes_of_another_type_are_another_array() -> None:
    plan = planned(layer("a", "input"), layer("b", "a"))
    kernels = dict(plan.kernels)
    changed = {
        key: value.view(np.uint8) if value.dtype == np.int8 else value for key, value in kernels["b"].arrays.items()
    }
    kernels["b"] = replace(kernels["b"], arrays=changed)
    names = defined(render_network(replace(plan, kernels=kernels), "net"))
    assert {"ggdq_net_a_weights", "ggdq_net_b_weights"} <= set(names)


def test_layers_of_one_shape_share_their_kernel() -> None:
    for core in ("host", "cortex-m4", "cortex-m0plus"):
        plan = planned(layer("a", "input"), layer("b", "a", weight=90, bias=1), core=core)
        source = render_network(plan, "net")["ggdq_net.c"]
        assert len(re.findall(r"^static GGDQ_NOINLINE void ggdq_net_kernel_\w+\(", source, re.MULTILINE)) == 1
