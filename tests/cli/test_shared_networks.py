"""The published networks, end to end: built for the Nucleo, equal to the bit, as accurate as the float network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CALIBRATION = 100
NETWORKS = {
    # model, data, accuracy of the float network on the samples after the first 100
    "kws": ("kws_ds_cnn.h5", "kws_features.npz", 0.935),
    "resnet8": ("resnet8_cifar10.h5", "cifar10.npz", 0.775),
}


@pytest.fixture(scope="module")
def built(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a network for the Nucleo, once in a run."""
    from ggdq_mcu.pipeline.build import Request, build

    folder = tmp_path_factory.mktemp("networks")

    def project(name: str) -> Path:
        out = folder / name
        if not out.exists():
            model, data, _ = NETWORKS[name]
            request = Request(
                shared / "models" / model,
                "nucleo",
                out,
                shared / "data" / data,
                calibration_samples=CALIBRATION,
            )
            build(request)
        return out

    return project


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_the_bit_on_host_and_emulated_board(
    cli: Any, shared: Path, built: Callable[[str], Path], name: str
) -> None:
    data = shared / "data" / NETWORKS[name][1]
    for place, count in (("host", 40), ("emulator", 2)):
        outcome = cli("verify", built(name), "--on", place, "--data", data, "--count", count, "--json")
        assert outcome.code == 0, outcome.err
        result = outcome.json["backends"][place]
        assert (result["samples"], result["mismatches"]) == (count, 0)


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracy_within_a_point_of_float(cli: Any, shared: Path, built: Callable[[str], Path], name: str) -> None:
    _, data, float_accuracy = NETWORKS[name]
    arguments = "--data", shared / "data" / data, "--skip", CALIBRATION, "--json"
    result = cli("evaluate", built(name), *arguments).json
    assert result["float_accuracy"] == pytest.approx(float_accuracy, abs=1e-9)
    assert abs(result["accuracy"] - result["float_accuracy"]) <= 0.01
    assert result["outputs"][0]["sqnr_db"] > 27


def test_three_files_of_one_network_give_the_same_c(cli: Any, shared: Path, tmp_path: Path) -> None:
    sources = []
    for name in ("kws_ds_cnn.h5", "kws_ds_cnn.keras", "kws_ds_cnn_keras2.h5"):
        out = tmp_path / name
        data = shared / "data" / "kws_features.npz"
        arguments = ("--calib", data, "--calib-count", CALIBRATION, "--board", "nucleo", "--no-compile")
        assert cli("build", shared / "models" / name, *arguments, "--out", out).code == 0
        files = [path for path in sorted(out.rglob("*")) if path.suffix in (".c", ".h")]
        sources.append({path.relative_to(out): path.read_bytes() for path in files})
    assert len(sources[0]) > 10
    assert sources[0] == sources[1] == sources[2]


@pytest.mark.parametrize("board", ["nucleo_g071rb", "nucleo_f767zi"])
def test_keyword_spotter_on_other_cores(cli: Any, shared: Path, tmp_path: Path, board: str) -> None:
    data = shared / "data" / "kws_features.npz"
    arguments = ("--calib", data, "--calib-count", CALIBRATION, "--board", board, "--out", tmp_path / "p")
    assert cli("build", shared / "models" / "kws_ds_cnn.h5", *arguments).code == 0
    outcome = cli("verify", tmp_path / "p", "--count", 2, "--json")
    assert (outcome.code, set(outcome.json["backends"])) == (0, {"host", "emulator"})


def test_keyword_spotter_as_a_stream(cli: Any, shared: Path, tmp_path: Path) -> None:
    """Samples of real sound one after the other: windows that begin in one and end in the next too."""
    data = shared / "data" / "kws_features.npz"
    arguments = ("--calib", data, "--calib-count", CALIBRATION, "--board", "nucleo", "--out", tmp_path / "p")
    assert cli("build", shared / "models" / "kws_ds_cnn.h5", *arguments, "--streaming").code == 0
    places = "--on", "reference,host,emulator"
    outcome = cli("verify", tmp_path / "p", *places, "--data", data, "--count", 2, "--json")
    assert outcome.code == 0, outcome.err
    windows = (2 * 49 - 49) // 2 + 1
    assert {place: (one["samples"], one["mismatches"]) for place, one in outcome.json["backends"].items()} == {
        place: (windows, 0) for place in ("reference", "host", "emulator")
    }
    profile = cli("profile", tmp_path / "p", "--json").json
    assert profile["stream"]["window"] > 3.3 * profile["stream"]["frame"]


def test_sixteen_bits_are_closer_to_float(cli: Any, shared: Path, tmp_path: Path, built: Callable[[str], Path]) -> None:
    data = shared / "data" / "kws_features.npz"
    out = tmp_path / "p"
    arguments = ("--calib", data, "--calib-count", CALIBRATION, "--board", "nucleo", "--out", out)
    options = ("--bits", 16, "--weight-bits", 16)
    assert cli("build", shared / "models" / "kws_ds_cnn.h5", *arguments, *options).code == 0
    assert cli("verify", out, "--count", 1).code == 0
    arguments = "--data", data, "--skip", CALIBRATION, "--count", 20, "--json"
    eight, sixteen = (
        cli("evaluate", project, *arguments).json["outputs"][0]["sqnr_db"] for project in (built("kws"), out)
    )
    assert sixteen > eight + 20


def test_without_data_within_a_few_points_of_float(cli: Any, shared: Path, tmp_path: Path) -> None:
    model = shared / "models" / "kws_ds_cnn.h5"
    out = tmp_path / "p"
    assert cli("build", model, "--board", "nucleo", "--out", out, "--no-compile").code == 0
    result = cli("evaluate", out, "--data", shared / "data" / "kws_features.npz", "--json").json
    assert result["samples"] == 500
    assert result["float_accuracy"] - result["accuracy"] <= 0.05
