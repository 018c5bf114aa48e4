"""A build described in ggdq.toml is the build of the line that it was saved from; what is wrong in it is told by its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu.cli._completion import board_names, core_names, scheme_names
from ggdq_mcu.cli._output import _NARROWEST, _narrowed
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.budget import parse_bytes

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = ("--scheme", "minmax", "--without", "adaptive-rounding", "--without", "channel-steps")


def test_a_saved_build_is_built_again(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = ("--board", "host", *QUICK, "--no-compile", "--name", "digits", "--input-format", "u8:0.0625:0")
    first = cli("build", EXAMPLES / "digits.h5", *line, "--out", "a", "--save-config", "ggdq.toml", "--json")
    assert first.code == 0, first.err
    text = (tmp_path / "ggdq.toml").read_text()
    assert 'without = ["adaptive-rounding", "channel-steps"]' in text
    assert "compile = false" in text
    assert "json" not in text
    again = cli("build", "--out", "b", "--json")
    assert again.code == 0, again.err
    assert (tmp_path / "a/model.ggdq").read_bytes() == (tmp_path / "b/model.ggdq").read_bytes()
    assert again.json["board"] == "host"
    other = cli("build", EXAMPLES / "digits.h5", "--out", "c")  # with MODEL the line stands alone
    assert other.code == 2
    assert "Missing option '--board'" in other.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model = ", "not TOML"),
        ('model = "m.h5"\nbaord = "host"', "unknown key 'baord'; did you mean board?"),
        ('model = "m.h5"\nboard = ["host"]', "board: is a list"),
        ('model = "m.h5"\nboard = "host"\nwithout = "headroom"', "without: is no list"),
        ('model = "m.h5"\nboard = "host"\nbits = 8.5', "bits: 8.5 is not a value"),
        (
            'model = "m.h5"\nboard = "host"\ntune = "yes"',
            "tune: 'yes' is not a value of this option; write true or false",
        ),
        ('model = "m.h5"\nboard = "host"\nbits = 99', "--bits"),
        ('model = "m.h5"\nboard = "host"', "m.h5: no such file"),
        ('model = 3\nboard = "host"', "3: no such file"),
        ('model = "m.h5"\nboard = 7', "7"),
        ('model = "m.h5"\nboard = "host"\ncalib = 1\nout = 2\nname = 3\nram = 4', "m.h5: no such file"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ggdq.toml").write_text(text)
    outcome = cli("build")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert told in outcome.err


@pytest.mark.parametrize("text", ["20k", "20K", "20KB", "20 KiB", "20kb", "20480", "20480B"])
def test_ways_to_write_bytes(text: str) -> None:
    assert parse_bytes(text) == 20480


@pytest.mark.parametrize("text", ["", "0", "k", "20X", "-1", "1.5k", "20kk", "20i", "٣"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    with pytest.raises(GgdqError, match="not a number of bytes"):
        parse_bytes(text)


def test_values_are_completed() -> None:
    assert board_names(None, None, "nucleo_f4") == ["nucleo_f401re", "nucleo_f411re", "nucleo_f446re"]  # type: ignore[arg-type]
    assert "ggd-tuned" in scheme_names(None, None, "ggd")  # type: ignore[arg-type]
    assert core_names(None, None, "cortex-m55") == ["cortex-m55"]  # type: ignore[arg-type]


def test_a_table_fits_the_terminal_and_keeps_its_numbers() -> None:
    assert sum(_narrowed([60, 40, 12], "llr", 80)) + 4 == 80
    assert _narrowed([60, 40, 12], "llr", 80)[2] == 12
    assert min(_narrowed([60, 40, 70], "llr", 80)[:2]) == _NARROWEST


def test_steps_are_lines(cli: Any, tmp_path: Path) -> None:
    line = ("build", EXAMPLES / "digits.h5", "--board", "host", *QUICK, "--no-compile", "--out", tmp_path / "p")
    assert " s  quantizing\n" in cli(*line, "-v").err
