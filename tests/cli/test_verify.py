"""verify: equality of the C with the reference, on this computer and on an emulated board, and differences."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spoiled import spoil_weights

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def nucleo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example network, built and compiled for the Nucleo."""
    from ggdq_mcu.pipeline.build import Request, build

    out = tmp_path_factory.mktemp("verify") / "nucleo"
    return build(Request(EXAMPLES / "digits.h5", "nucleo", out)).folder


@pytest.fixture
def copy(nucleo: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(nucleo, tmp_path / "copy"))


def test_host_and_emulated_board_equal_the_reference(cli: Any, nucleo: Path) -> None:
    outcome = cli("verify", nucleo, "--json")
    assert outcome.code == 0
    backends = outcome.json["backends"]
    assert {place: result["samples"] for place, result in backends.items()} == {"host": 100, "emulator": 10}
    assert all(result["mismatches"] == 0 and result["first"] is None for result in backends.values())
    elements = sum(math.prod(layer["shape"]) for layer in cli("inspect", nucleo, "--json").json["layers"])
    assert {place: r["elements"] / r["samples"] for place, r in backends.items()} == {
        "host": elements,
        "emulator": elements,
    }


def test_reference_equals_what_it_was_when_the_project_was_built(cli: Any, nucleo: Path) -> None:
    backends = cli("verify", nucleo, "--on", "reference", "--json").json["backends"]
    assert backends == {"reference": {"samples": 3, "elements": 30, "mismatches": 0, "first": None}}


def test_given_data_are_used_and_counted(cli: Any, nucleo: Path, examples: Path, tmp_path: Path) -> None:
    with np.load(examples / "digits_test.npz") as data:
        np.savez(tmp_path / "few.npz", x=data["x"][:7])
    outcome = cli("verify", nucleo, "--on", "host,emulator", "--data", tmp_path / "few.npz", "--json")
    assert {place: r["samples"] for place, r in outcome.json["backends"].items()} == {"host": 7, "emulator": 7}
    outcome = cli("verify", nucleo, "--on", "host", "--data", tmp_path / "few.npz", "--count", 2, "--json")
    assert outcome.json["backends"]["host"]["samples"] == 2


def test_difference_on_the_emulated_board_names_the_first_layer(cli: Any, copy: Path) -> None:
    spoil_weights(copy / "lib" / "ggdq_network" / "src", "pointwise_2")
    outcome = cli("verify", copy, "--on", "emulator", "--json")
    assert outcome.code == 1
    result = outcome.json["backends"]["emulator"]
    assert result["mismatches"] > 0
    assert result["first"]["layer"] == "pointwise_2"
    told = outcome.err.splitlines()[-1]
    assert "'pointwise_2'" in told
    for key in ("element", "sample", "expected", "actual"):
        assert str(result["first"][key]) in told


def test_difference_on_the_host_names_the_first_layer(cli: Any, tmp_path: Path, examples: Path) -> None:
    out = tmp_path / "host"
    assert cli("build", examples / "digits.h5", "--board", "host", "--out", out, "--no-compile").code == 0
    spoil_weights(out / "lib" / "ggdq_network" / "src", "depthwise_2")
    outcome = cli("verify", out, "--on", "host")
    assert outcome.code == 1
    assert "first difference in layer 'depthwise_2'" in outcome.err
    assert "differs" in outcome.out


def test_place_that_does_not_exist(cli: Any, nucleo: Path) -> None:
    outcome = cli("verify", nucleo, "--on", "moon")
    assert outcome.code == 2
    assert "'moon'" in outcome.err
    assert "serial:PORT" in outcome.err


def test_serial_port_that_does_not_exist(cli: Any, nucleo: Path) -> None:
    outcome = cli("verify", nucleo, "--on", "serial:/dev/no-such-port")
    assert outcome.code == 2
    assert "/dev/no-such-port" in outcome.err
    assert outcome.err.count("\n") == 1


def test_inspect_and_profile_of_compiled_firmware(cli: Any, nucleo: Path) -> None:
    seen = cli("inspect", nucleo, "--json").json
    assert Path(seen["firmware"]).is_file()
    assert 0 < seen["code_bytes"] < seen["flash_bytes"] < 512 * 1024
    assert seen["arena_bytes"] < seen["ram_bytes"] < 128 * 1024
    profile = cli("profile", nucleo, "--json").json
    assert profile["core"] == "cortex-m4"
    assert [layer["name"] for layer in profile["layers"]] == [layer["name"] for layer in seen["layers"]]
    assert sum(layer["macs"] for layer in profile["layers"]) == profile["macs"] == seen["macs"]
    counted = sum(layer["instructions"] for layer in profile["layers"])
    assert all(layer["instructions"] > 0 for layer in profile["layers"])
    assert counted < profile["instructions"] < counted * 1.05
    cycles = sum(layer["cycles_estimate"] for layer in profile["layers"])
    assert profile["instructions"] < cycles < profile["cycles_estimate"] < cycles * 1.05
    assert 0.95 < sum(layer["share"] for layer in profile["layers"]) < 1
    assert profile["instructions_per_mac"] == profile["instructions"] / profile["macs"]
    assert profile["milliseconds_estimate"] == pytest.approx(profile["cycles_estimate"] / 180e3)
    text = cli("profile", nucleo).out
    assert "cycles (estimate)" in text
    assert "cycles are an estimate: 1.08 times the sum of: a load 2," in text
    assert "flash: 5 wait states, caches of 64 lines of 16 bytes" in text
    assert f"about {profile['milliseconds_estimate']:.2f} ms at the clock of nucleo_f446re, by that estimate" in text


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m55", "rv32imc"])
def test_profile_of_the_library_on_another_core(cli: Any, nucleo: Path, core: str) -> None:
    profile = cli("profile", nucleo, "--core", core, "--json").json
    assert (profile["core"], profile["board"], profile["milliseconds_estimate"]) == (core, None, None)
    counted = sum(layer["instructions"] for layer in profile["layers"])
    assert counted <= profile["instructions"] < counted * 1.05  # QEMU's timer is coarse
    assert (profile["cycles_estimate"] is None) == (core != "cortex-m0plus")
    assert 0.95 < sum(layer["share"] for layer in profile["layers"]) <= 1


@pytest.mark.parametrize(("core", "hint"), [("cortex-m99", "known: cortex-m0,"), ("xtensa-lx6", "no emulator")])
def test_a_core_that_cannot_be_counted_is_named(cli: Any, nucleo: Path, core: str, hint: str) -> None:
    outcome = cli("profile", nucleo, "--core", core)
    assert outcome.code == 2
    assert core in outcome.err
    assert hint in outcome.err
    assert outcome.err.count("\n") == 1
