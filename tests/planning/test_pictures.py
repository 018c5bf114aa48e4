"""The arena as text and as a picture shows what the plan says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.describe.description import Description, Placement, describe_plan
from ggdq_mcu.describe.memory import function_bytes, ram_svg, ram_text
from ggdq_mcu.graph import Format, Graph, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.input import Input
from ggdq_mcu.planning.arena import plan_arena
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan


def described(plan: Plan) -> Description:
    return describe_plan(plan, name="net", board="board", scheme="mse", calibration="none", graph=Graph("net", (), ()))


def test_every_layer_has_its_row_and_every_buffer_its_place(planned: Callable[..., Plan]) -> None:
    plan = planned("resnet8")
    description = described(plan)
    header, *rows = ram_text(description).splitlines()
    assert str(plan.arena.size) in header
    assert [row.split()[0] for row in rows] == [node.name for node in plan.layers]
    assert max(int(row.split()[1]) for row in rows) == plan.arena.size
    assert {one.name: one.offset for one in description.placements} == plan.arena.offsets


def test_bars_show_what_is_written_kept_scratch_and_free() -> None:
    placements = (Placement("a", 0, 32, 0, 1), Placement("b", 32, 16, 1, 1), Placement("b/scratch", 48, 8, 1, 1, True))
    text = ram_text(replace(described(tiny(("a", "b"))), arena_bytes=64, placements=placements))
    bars = [row.split() for row in text.splitlines()[1:]]
    assert bars == [["a", "32", "#" * 32 + "." * 32], ["b", "56", "=" * 32 + "#" * 16 + "~" * 8 + "." * 8]]


def tiny(names: tuple[str, ...], core: str = "host") -> Plan:
    form = Format(8, True, 0.1)
    nodes = [QuantizedNode("input", Input((8,)), (), form)]
    for name in names:
        operator = Clip()
        constants = operator.lower({}, [form], form, [(8,)])
        nodes.append(QuantizedNode(name, operator, (nodes[-1].name,), form, constants))
    return make_plan(QuantizedGraph("tiny", tuple(nodes), (nodes[-1].name,)), CORES[core])


def test_pictures_are_xml_whatever_layers_are_called() -> None:
    description = described(tiny(('<script>"&', "second")))
    root = ElementTree.fromstring(ram_svg(description))
    titles = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    assert any("<script>" in title for title in titles)


def test_a_layer_may_be_called_like_the_scratch_memory_of_another() -> None:
    plan = tiny(("a", "a/scratch", "end"))
    kernels = {name: replace(kernel, scratch_bytes=16) for name, kernel in plan.kernels.items()}
    arena = plan_arena(plan.graph, kernels)
    assert len(arena.offsets) == len(arena.buffers) == 7
    changed = replace(plan, kernels=kernels, arena=arena)
    assert render_network(changed, "tiny")["ggdq_tiny.c"]
    assert [one.scratch for one in described(changed).placements].count(True) == 3


def test_flash_of_each_function(linked: Callable[[str], Path]) -> None:
    sizes = function_bytes(linked("autoencoder"))
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert sizes["ggdq_autoencoder_invoke"] > 0
    assert all(name.startswith("ggdq_") for name in sizes)
