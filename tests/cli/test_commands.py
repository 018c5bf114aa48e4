"""The commands: what --help says, what --json holds, what files they find, what they leave on disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ggdq_mcu import resources
from ggdq_mcu.cli import group
from ggdq_mcu.cli.build import IMPROVEMENTS
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.schemes import SCHEMES

COMMANDS = ["boards", "build", "doctor", "evaluate", "flash", "inspect", "profile", "verify"]
LAYERS = [
    "conv_1",
    "depthwise_1",
    "pointwise_1",
    "add_1",
    "depthwise_2",
    "pointwise_2",
    "average_pooled",
    "logits",
]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example network, built for the host, not compiled."""
    out = tmp_path_factory.mktemp("digits") / "project"
    build = "from ggdq_mcu.cli import main; main()"
    model = Path(__file__).parents[2] / "examples" / "digits.h5"
    arguments = ["build", str(model), "--board", "host", "--out", str(out), "--no-compile"]
    subprocess.run([sys.executable, "-c", build, *arguments], check=True, capture_output=True)
    return out


def test_every_command_has_its_file_and_an_example_in_its_help(cli: Any) -> None:
    assert set(COMMANDS) <= set(group.list_commands(None))  # type: ignore[arg-type]
    for command in group.list_commands(None):  # type: ignore[arg-type]
        outcome = cli(command, "--help")
        assert outcome.code == 0
        assert f"  ggdq-mcu {command}" in outcome.out
        assert "--json" in outcome.out


def test_help_of_build_names_every_scheme(cli: Any) -> None:
    text = "".join(cli("build", "--help").out.split())  # lines may break at hyphens
    assert all(f"{name}," in text or f"{name}." in text for name in SCHEMES)


def test_every_improvement_of_quantization_is_a_switch() -> None:
    """But for those with an option of their own."""
    switches = {field.name for field in fields(Options) if field.type == "bool"} - {"per_channel", "prune_dead"}
    assert {name.replace("-", "_") for name in IMPROVEMENTS} == switches


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom ggdq_mcu.cli import main\n"
        "try: main(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert not loaded & {
        "numpy",
        "h5py",
        "jinja2",
        "rich",
        "unicorn",
        "elftools",
        "platformio",
        "tensorflow",
        "keras",
        "matplotlib",
    }


def test_no_command_imports_tensorflow(project: Path) -> None:
    code = (
        "import sys\nfrom ggdq_mcu.cli import main\n"
        f"try: main(['inspect', {str(project)!r}])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stderr.split()} & {"tensorflow", "keras"}


def test_version(cli: Any) -> None:
    assert cli("--version").out.startswith("ggdq-mcu, version ")


def test_build_describes_the_network(cli: Any, examples: Path, tmp_path: Path) -> None:
    built = cli(
        "build",
        examples / "digits.h5",
        "--board",
        "nucleo",
        "--out",
        tmp_path / "p",
        "--no-compile",
        "--json",
    ).json
    assert (built["board"], built["core"]) == ("nucleo_f446re", "cortex-m4")
    assert [layer["name"] for layer in built["layers"]] == [*LAYERS, "probabilities"]
    first = built["layers"][0]
    assert (first["operator"], first["macs"], first["bits"]) == ("Conv2D", 8 * 8 * 16 * 9, 8)
    assert all(layer["step"] > 0 for layer in built["layers"])
    assert built["arena_bytes"] > 0
    assert built["weights_bytes"] == sum(layer["weights_bytes"] for layer in built["layers"])
    assert (built["code_bytes"], built["firmware"]) == (None, None)
    assert built.pop("quality")["accuracy"] == 1  # on the calibration samples; the project does not keep it
    assert cli("inspect", tmp_path / "p", "--json").json == built


def test_inspect_of_a_model(cli: Any, examples: Path) -> None:
    seen = cli("inspect", examples / "digits.h5", "--json").json
    assert [layer["name"] for layer in seen["layers"]] == [*LAYERS, "probabilities"]
    assert (seen["board"], seen["arena_bytes"], seen["layers"][0]["step"]) == (None, None, None)
    assert seen["parameters"] == 1626


def test_data_beside_the_model_is_found_and_told(cli: Any, examples: Path, tmp_path: Path) -> None:
    outcome = cli("build", examples / "digits.h5", "--board", "host", "--out", tmp_path / "p", "--no-compile")
    told = [line for line in outcome.err.splitlines() if "digits.npz" in line]
    assert len(told) == 1
    assert "150 samples" in told[0]


def test_without_data_one_line_asks_for_some(cli: Any, examples: Path, tmp_path: Path) -> None:
    model = shutil.copy(examples / "digits.h5", tmp_path)
    outcome = cli("build", model, "--board", "host", "--out", tmp_path / "p", "--no-compile", "--json")
    assert outcome.code == 0
    assert len(outcome.err.splitlines()) == 1
    assert "without data" in outcome.err
    assert json.loads(outcome.out)["board"] == "host"


def test_given_input_format_is_taken(cli: Any, examples: Path, tmp_path: Path) -> None:
    options = "--board", "host", "--out", tmp_path / "p", "--no-compile", "--json"
    for text, kind, step, zero in (
        ("u8:0.0625:0", "u8", 0.0625, 0),
        ("s8:0.0078125:-128", "s8", 0.0078125, -128),
    ):
        built = cli("build", examples / "digits.h5", *options, "--input-format", text).json
        (image,) = built["inputs"]
        assert (image["type"], image["step"], image["zero_point"]) == (kind, step, zero)


@pytest.mark.anew
def test_same_input_gives_the_same_project(cli: Any, examples: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            cli("build", examples / "digits.h5", "--board", "nucleo", "--out", tmp_path / name, "--no-compile").code
            == 0
        )
    first = {
        path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()
    }
    second = {
        path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()
    }
    assert first == second


def test_a_build_that_fails_leaves_the_old_project(cli: Any, examples: Path, tmp_path: Path) -> None:
    options = "--board", "host", "--out", tmp_path / "p", "--no-compile"
    assert cli("build", examples / "digits.h5", *options).code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "p").rglob("*") if path.is_file()}
    assert cli("build", examples / "digits.npz", *options).code == 2
    assert {path: path.read_bytes() for path in (tmp_path / "p").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "stage", ["build.load", "build.calibrate", "build.quantize", "quantized_project.render_network"]
)
def test_an_interrupted_build_leaves_the_old_project(
    cli: Any, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    options = "--board", "host", "--out", tmp_path / "p", "--no-compile"
    assert cli("build", examples / "digits.h5", *options).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"ggdq_mcu.pipeline.{stage}", interrupt)
    outcome = cli("build", examples / "digits.h5", *options)
    assert outcome.code == 130
    assert "Traceback" not in outcome.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_flash_that_fails_is_one_line(cli: Any, project: Path) -> None:
    outcome = cli("flash", project)  # there is nothing to flash on this computer
    assert outcome.code == 2
    assert str(project) in outcome.err
    assert outcome.err.count("\n") == 1


def test_evaluate_against_float(cli: Any, examples: Path, project: Path) -> None:
    result = cli("evaluate", project, "--data", examples / "digits_test.npz", "--json").json
    assert result["samples"] == 500
    assert abs(result["accuracy"] - result["float_accuracy"]) <= 0.01
    assert result["agreement"] > 0.98
    assert [layer["name"] for layer in result["layers"]] == [*LAYERS, "probabilities"]
    (output,) = result["outputs"]
    logits = next(layer for layer in result["layers"] if layer["name"] == "logits")
    assert output == {"name": "probabilities", "sqnr_db": logits["sqnr_db"]}
    assert output["sqnr_db"] > 25


def test_evaluate_without_labels_has_no_accuracy(cli: Any, examples: Path, project: Path, tmp_path: Path) -> None:
    with np.load(examples / "digits_test.npz") as data:
        np.savez(tmp_path / "x.npz", x=data["x"])
    result = cli("evaluate", project, "--data", tmp_path / "x.npz", "--skip", 100, "--count", 30, "--json").json
    assert (result["samples"], result["accuracy"], result["float_accuracy"]) == (30, None, None)
    assert result["agreement"] > 0.9


def test_evaluate_after_the_last_sample_is_an_error(cli: Any, examples: Path, project: Path) -> None:
    assert cli("evaluate", project, "--data", examples / "digits_test.npz", "--skip", 500).code == 2


def test_too_big_for_the_board_is_said_with_numbers(cli: Any, examples: Path, tmp_path: Path) -> None:
    manifest = json.loads((resources.root("boards") / "nucleo_g071rb.json").read_text())
    for memory, size, word in (("flash", 2000, "largest layer is '"), ("ram", 3072, "largest buffer is '")):
        small = json.loads(json.dumps(manifest))
        small["ggdq"][memory]["size"] = size
        board = tmp_path / f"small_{memory}.json"
        board.write_text(json.dumps(small))
        outcome = cli("build", examples / "digits.h5", "--board", board, "--out", tmp_path / "p")
        assert outcome.code == 2
        error = outcome.err.splitlines()[-1]
        assert "too big" in error
        assert str(size) in error
        assert word in error
        assert not (tmp_path / "p").exists()


def test_a_build_that_does_not_compile_leaves_the_old_project(cli: Any, examples: Path, tmp_path: Path) -> None:
    build = ("build", examples / "digits.h5", "--out", tmp_path / "p", "--board")
    assert cli(*build, "host").code == 0
    before = (tmp_path / "p" / "ggdq.json").read_bytes()
    manifest = json.loads((resources.root("boards") / "nucleo_g071rb.json").read_text())
    manifest["ggdq"]["flash"]["size"] = 7000  # room for the constants, not for the code
    (tmp_path / "small.json").write_text(json.dumps(manifest))
    outcome = cli(*build, tmp_path / "small.json")
    assert outcome.code == 2
    assert "--keep-going writes the project all the same" in outcome.err
    assert (tmp_path / "p" / "ggdq.json").read_bytes() == before
    assert cli(*build, tmp_path / "small.json", "--keep-going").code == 2
    assert (tmp_path / "p" / "ggdq.json").read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "small.json"]


def test_doctor_names_what_is_missing(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GGDQ_CACHE", str(tmp_path))
    monkeypatch.setenv("GGDQ_PIO", "local")
    whole = cli("doctor", "--json")
    assert (whole.code, whole.json["ok"]) == (0, True)
    monkeypatch.setenv("PATH", str(tmp_path))
    broken = cli("doctor")
    assert broken.code == 1
    assert "gcc-arm-none-eabi" in broken.out
