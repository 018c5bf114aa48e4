"""Writes the figures in README.md and the picture beside it, from what the commands print.

    python docs/figures.py

Builds the example for the Nucleo in a temporary folder, then runs evaluate, verify, inspect and profile on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "digits.h5"
TEST_DATA = ROOT / "examples" / "digits_test.npz"
BEGIN, END = "<!-- figures: python docs/figures.py -->\n", "<!-- end -->\n"
PICTURE = ROOT / "docs" / "digits.svg"


def measured() -> dict[str, Any]:
    """What the commands say about the example, by command."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "digits"
        return {
            "build": _command("build", MODEL, "--board", "nucleo", "--out", out),
            "verify": _command("verify", out, "--on", "host,emulator"),
            "evaluate": _command("evaluate", out, "--data", TEST_DATA),
            "profile": _command("profile", out),
        }


def table(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of README's table: what, figure, the command that prints it."""
    build, evaluate, profile = figures["build"], figures["evaluate"], figures["profile"]
    verify = figures["verify"]["backends"]
    differences = sum(place["mismatches"] for place in verify.values())
    compared = sum(place["elements"] for place in verify.values())
    return [
        ("accuracy, 500 samples not seen before", f"{evaluate['accuracy']:.1%}", "evaluate"),
        ("accuracy of the float network", f"{evaluate['float_accuracy']:.1%}", "evaluate"),
        ("same class as the float network", f"{evaluate['agreement']:.1%}", "evaluate"),
        ("SQNR of the logits", f"{evaluate['outputs'][0]['sqnr_db']:.1f} dB", "evaluate"),
        ("elements compared with the reference", f"{compared}", "verify"),
        ("of these different", f"{differences}", "verify"),
        ("instructions for one inference, Cortex-M4", f"{profile['instructions']}", "profile"),
        ("multiply-accumulates", f"{profile['macs']}", "profile"),
        ("arena (RAM)", f"{build['arena_bytes']} bytes", "inspect"),
        ("weights and constants (flash)", f"{build['weights_bytes']} bytes", "inspect"),
        ("whole firmware in flash", f"{build['flash_bytes']} bytes", "inspect"),
    ]


def picture(figures: dict[str, Any]) -> str:
    """SQNR and instructions by layer, as bars."""
    sqnr = {layer["name"]: layer["sqnr_db"] for layer in figures["evaluate"]["layers"]}
    counts = {layer["name"]: layer["instructions"] for layer in figures["profile"]["layers"]}
    names = [name for name in sqnr if name in counts]
    height = 24 * len(names) + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="760" height="{height}" fill="white"/>',
        '<text x="150" y="26" font-weight="bold">SQNR in dB</text>',
        '<text x="470" y="26" font-weight="bold">instructions, Cortex-M4</text>',
    ]
    for row, name in enumerate(names):
        y = 40 + 24 * row
        parts.append(f'<text x="140" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        parts += _bar(150, y, sqnr[name] / max(sqnr[n] for n in names), f"{sqnr[name]:.1f}", "#4878a8")
        parts += _bar(470, y, counts[name] / max(counts.values()), f"{counts[name]}", "#c07838")
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: int, y: int, share: float, text: str, colour: str) -> Sequence[str]:
    width = round(210 * share)
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="18" fill="{colour}"/>',
        f'<text x="{x + width + 6}" y="{y + 14}">{text}</text>',
    )


def _command(*arguments: object) -> Any:
    line = [sys.executable, "-c", "from ggdq_mcu.cli import main; main()", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    """Measure, and write README.md and the picture."""
    figures = measured()
    rows = [f"| {what} | {figure} | `ggdq-mcu {command}` |" for what, figure, command in table(figures)]
    block = "\n".join(["| | | printed by |", "|---|---|---|", *rows, ""])
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + BEGIN + block + END + after, encoding="utf-8")
    PICTURE.write_text(picture(figures), encoding="utf-8")
    print(block)


if __name__ == "__main__":
    main()
