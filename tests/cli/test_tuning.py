"""build --tune: kernels are chosen by counted instructions, and the project tells of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.pipeline import tuning
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.planning.search import make_plan

CORE = CORES["cortex-m4"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example network, tuned for a Cortex-M4, not compiled."""
    from ggdq_mcu.pipeline.build import Request, build

    out = tmp_path_factory.mktemp("tuned") / "project"
    model = Path(__file__).parents[2] / "examples" / "digits.h5"
    return build(Request(model, "nucleo", out=out, goal="speed", compile=False, tune=True)).folder


@pytest.fixture(scope="module")
def network(built: Path) -> QuantizedGraph:
    return open_project(built).network


def test_the_manifest_keeps_the_counts_and_the_compiler_and_the_kernels_are_the_fastest(built: Path) -> None:
    manifest = json.loads((built / "ggdq.json").read_text())
    assert manifest["source"]["tuned_with"].startswith("arm-none-eabi-gcc ")
    for layer in manifest["layers"]:
        assert layer["measured"][layer["kernel"]] == min(layer["measured"].values())
    assert any(len(layer["measured"]) > 1 for layer in manifest["layers"])


def test_inspect_shows_the_kernels_and_their_counts(built: Path, cli: Any) -> None:
    text = cli("inspect", built).out
    assert "kernels chosen by executed instructions on the emulated cortex-m4" in text
    shown = cli("inspect", built, "--json").json
    assert all(f"{layer['measured'][layer['kernel']]}" in text.replace(" ", "") for layer in shown["layers"])


def test_counts_are_the_same_again(built: Path, network: QuantizedGraph) -> None:
    counted = tuning.tune(network, CORE).instructions
    layers = json.loads((built / "ggdq.json").read_text())["layers"]
    assert {layer["name"]: layer["measured"] for layer in layers} == counted


def test_a_count_outweighs_the_estimate(network: QuantizedGraph) -> None:
    node = next(node for node in network.nodes if node.inputs and len(kernels_of(network.layer(node), CORE)) > 1)
    for wanted in kernels_of(network.layer(node), CORE):
        others = {kernel.name: 10**9 for kernel in kernels_of(network.layer(node), CORE)}
        plan = make_plan(network, CORE, "speed", measured={node.name: others | {wanted.name: 1}})
        assert plan.kernels[node.name].name == wanted.name


def test_a_kernel_with_wrong_results_is_no_choice(network: QuantizedGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kernels: list[Kernel]) -> list[Kernel]:
        arrays = {name: ~value if name == "weights" else value for name, value in kernels[0].arrays.items()}
        return [replace(kernels[0], arrays=arrays)]

    monkeypatch.setattr(tuning, "_promising", broken)
    with pytest.raises(tuning.GgdqError, match="do not give the reference's output"):
        tuning.tune(network, CORE)


@pytest.mark.parametrize("board", ["host", "esp32dev"])
def test_cores_without_an_emulator_that_counts_are_refused(
    board: str, cli: Any, examples: Path, tmp_path: Path
) -> None:
    outcome = cli("build", examples / "digits.h5", "--board", board, "--tune", "--out", tmp_path / "p", "--no-compile")
    assert outcome.code == 2
    assert "--tune" in outcome.err
    assert not (tmp_path / "p").exists()
