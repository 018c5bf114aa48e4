"""Which trained networks of others can be built, are equal to their framework, and exact? A row a file.

    python -m benchmarks.zoo ../shared/models/zoo [--only TEXT] [--kept] [--seconds 300]

Each file is tried in a process of its own, with a time limit. ``float``: the largest error of the float network against
ONNX's reference implementation or TensorFlow's interpreter, relative to the largest output, on random inputs; quantized
.tflite files are not compared. ``exact``: the firmware's C equals the integer reference to the bit, on the host and on the
smallest emulated board that holds the network. ``kept``: with ``--keep-quantization`` the outputs that differ from those of
TensorFlow Lite Micro's interpreter, of 200 random inputs, in sequences of 50 where the network keeps a state; "float" where
the file is no integer network. ``instructions`` is what planning reckons with. Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.micro import compared
from numpy.typing import NDArray

from ggdq_mcu import boards, quantize
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.importers.source import is_quantized
from ggdq_mcu.pipeline.verify import verify

Array = NDArray[Any]
ENDINGS = (".onnx", ".tflite", ".h5", ".keras")
COLUMNS = ("file", "loads", "float", "kept", "exact", "board", "flash", "RAM", "instructions", "reason")
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {"pnet.onnx": {"": (1, 24, 24, 3)}}
_SAMPLES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="files whose path has this text in it")
    parser.add_argument("--seconds", type=int, default=300, help="limit of time for a file")
    parser.add_argument("--kept", action="store_true", help="the column kept alone")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps({"kept": _kept(arguments.folder)} if arguments.kept else row(arguments.folder)))
        return
    endings = (".tflite",) if arguments.kept else ENDINGS
    columns = ("file", "kept", "reason") if arguments.kept else COLUMNS
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix in endings)
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for path in files:
        name = str(path.relative_to(arguments.folder))
        if arguments.only in name:
            found = _alone(path, arguments.seconds, arguments.kept)
            print(
                "| " + " | ".join(str(found.get(key, "-")) for key in columns[1:]).join((f"{name} | ", " |")),
                flush=True,
            )


def _alone(path: Path, seconds: int, kept: bool) -> dict[str, Any]:
    """The row of a file, found in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.zoo", str(path), "--one", *(["--kept"] if kept else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"reason": f"more than {seconds} s"}
    if done.returncode:
        return {"reason": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def row(path: Path) -> dict[str, Any]:
    """The columns of one file."""
    shapes = SHAPES.get(path.name)
    try:
        graph = load(path, input_shapes=shapes)
    except GgdqError as error:
        return {"loads": "no", "reason": str(error).removeprefix(f"{path}: ")[:240]}
    samples = _samples(graph)
    found: dict[str, Any] = {"loads": "yes", "kept": _kept(path)}
    try:
        found["float"] = _error(path, graph, samples)
    except Exception as error:  # whatever the framework's own implementation cannot do
        found["reason"] = f"not compared: {type(error).__name__}: {str(error)[:100]}"
    try:
        found |= _built(path, samples, shapes)
    except GgdqError as error:
        found["reason"] = str(error)[:240]
    return found


def _kept(path: Path) -> str:
    """Outputs that differ from the interpreter's, or why there is nothing to compare."""
    if path.suffix != ".tflite":
        return "-"
    try:
        if not is_quantized(path):
            return "float"
        differing, whole = compared(path)
    except GgdqError as error:
        return str(error).removeprefix(f"{path}: ")[:160]
    except RuntimeError as error:
        return f"the interpreter: {str(error)[:80]}"
    return f"{differing} of {whole}"


def _samples(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=(_SAMPLES, *graph.shapes[name])).astype(np.float32) for name in graph.inputs}


def _error(path: Path, graph: Graph, samples: Mapping[str, Array]) -> str:
    """Largest error of the outputs relative to the largest of their values; "-" where there is nothing to compare with."""
    found = list(graph.run(dict(samples)).values())
    worst = 0.0
    for index in range(2):
        one = [
            np.moveaxis(values[index], -1, 0) if graph.by_name[name].operator.channels_first else values[index]  # type: ignore[attr-defined]
            for name, values in samples.items()
        ]
        expected = _of_onnx(path, one) if path.suffix == ".onnx" else _of_tflite(path, one)
        if expected is None:
            return "-"
        for ours, theirs in zip(found, expected, strict=True):
            value = ours[index]
            forms = [
                theirs.reshape(-1),
                np.moveaxis(theirs, 1, -1).reshape(-1) if theirs.ndim > 2 else theirs.reshape(-1),
            ]
            scale = max(float(np.abs(theirs).max()), 1e-30)
            worst = max(worst, min(float(np.abs(value.reshape(-1) - form).max()) for form in forms) / scale)
    return f"{worst:.1e}"


def _of_onnx(path: Path, inputs: list[Array]) -> list[Array]:
    from onnx import load as load_model
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(load_model(path))
    feeds = dict(zip(evaluator.input_names, (one[None] for one in inputs), strict=False))
    return [np.asarray(value) for value in evaluator.run(None, feeds)]


def _of_tflite(path: Path, inputs: list[Array]) -> list[Array] | None:
    if path.suffix != ".tflite":
        return None
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    if any(one["dtype"] != np.float32 for one in (*details, *interpreter.get_output_details())):
        return None
    for one, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(one["index"], value.reshape(one["shape"]))
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def _built(path: Path, samples: dict[str, Array], shapes: Mapping[str, tuple[int, ...]] | None) -> dict[str, Any]:
    """Built for the smallest emulated board that holds it, and compared there and on the host."""
    model = quantize(path, samples, input_shapes=shapes)
    emulated = [one for one in boards.all_boards() if not one.is_host and one.core.name.startswith("cortex-m")]
    last: GgdqError | None = None
    for board in sorted(emulated, key=lambda one: (one.flash.size if one.flash else 0, one.ram.size if one.ram else 0)):
        with tempfile.TemporaryDirectory(prefix="ggdq-zoo-") as folder:
            try:
                built = model.build(board.name, Path(folder) / "project")
            except GgdqError as error:  # does not fit
                last = error
                continue
            found = verify(built.folder, ["host", "emulator"], count=3)
            exact = ", ".join(name for name, one in found.backends.items() if not one.mismatches) or "no"
            told = built.description
            work = sum(layer.instructions or 0 for layer in told.layers)
            sizes = {"flash": told.flash_bytes, "RAM": told.ram_bytes, "instructions": work}
            return {"exact": exact, "board": board.name, **sizes}
    raise last or GgdqError("no emulated board")


if __name__ == "__main__":
    main()
