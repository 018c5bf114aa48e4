"""How is a network shown to a person?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ggdq_mcu.cli._output import number, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ggdq_mcu.describe.description import Description, StageInfo, TensorInfo
    from ggdq_mcu.describe.evaluation import Evaluation, Fit


def layers_text(description: Description, most: int | None = None) -> str:
    """The inputs, the layers and the outputs, a line each; of more than ``most`` layers those of the most work."""
    shown = description.layers
    if most is not None:
        heaviest = sorted(range(len(shown)), key=lambda index: (-shown[index].macs, index))[:most]
        shown = tuple(shown[index] for index in sorted(heaviest))
    header = ["layer", "operator", "output", "type", "step", "MACs", "weights", "bits"]
    inputs = [
        [tensor.name, "input", _shape(tensor.shape), tensor.type, _step(tensor), "", "", ""]
        for tensor in description.inputs
    ]
    layers = [
        [
            layer.name,
            layer.details,
            _shape(layer.shape),
            layer.type or "float32",
            "-" if layer.step is None else f"{layer.step:.5g}",
            number(layer.macs),
            number(layer.weights_bytes),
            "" if layer.weight_bits is None else str(layer.weight_bits),
        ]
        for layer in shown
    ]
    return table(header, inputs + layers, "llllrrrr")


def kernels_text(description: Description) -> str:
    """The kernel of each layer, what it executes and what the others would; "" where nothing was measured."""
    rows = []
    for layer in description.layers:
        if layer.measured is not None:
            counts = dict(layer.measured)
            chosen = number(counts.pop(layer.kernel or "", None))
            rows.append(
                [layer.name, layer.kernel or "", chosen, ", ".join(f"{k} {number(n)}" for k, n in counts.items())]
            )
    if not rows:
        return ""
    title = f"kernels chosen by executed instructions on the emulated {description.core}"
    return f"{title}\n\n" + table(["layer", "kernel", "instructions", "others"], rows, "llrl")


def stages_text(stages: Sequence[StageInfo]) -> str:
    """A line for each stage that runs in strips; "" where there is none."""
    return "\n".join(stage.text for stage in stages)


def sizes_text(description: Description) -> str:
    """What the network costs."""
    rows = [
        ("multiply-accumulates", number(description.macs)),
        ("parameters", number(description.parameters)),
    ]
    if description.removed is not None:
        gone = description.removed
        text = f"{gone.channels} of {gone.of}, {number(gone.macs_before - description.macs)} multiply-accumulates"
        rows.append(("constant or unread channels removed", text))
    for title, value in (
        ("weights and constants", description.weights_bytes),
        ("arena", description.arena_bytes),
        ("stack of an inference, at most", description.stack_bytes),
        ("code of the firmware", description.code_bytes),
        ("flash of the firmware", description.flash_bytes),
        ("RAM of the firmware, with the stack", description.ram_bytes),
    ):
        if value is not None:
            rows.append((title, number(value, unit=" bytes") + _share(description, title, value)))
    stream = description.stream
    if stream is not None:
        text = f"{stream.window} frames, every {number(stream.hop)} frames; {number(stream.window_macs)} MACs at once"
        rows.insert(0, ("stream of windows of", text))
        rows.insert(3, ("rings", number(stream.ring_bytes, unit=" bytes")))
    return "\n".join(f"{title}: {value}" for title, value in rows)


def quality_lines(quality: Evaluation) -> list[str]:
    """Accuracy beside float, agreement or error as the task has them, and the SQNR of the outputs."""
    lines = []
    if quality.accuracy is not None:
        lines.append(f"accuracy: {percent(quality.accuracy)} (float: {percent(quality.float_accuracy)})")
    if quality.agreement is not None:
        lines.append(f"same class as float: {percent(quality.agreement)}")
    elif quality.fit is not None:
        lines.append(f"{quality.task}, against the float network: {_fit(quality.fit)}")
    if quality.error is not None and quality.float_error is not None:
        what = "the input" if quality.task == "reconstruction" else "the labels"
        lines.append(f"against {what}: {_fit(quality.error)} (float: {_fit(quality.float_error)})")
    return lines + [f"SQNR of output {output.name}: {output.sqnr_db:.1f} dB" for output in quality.outputs]


def percent(fraction: float | None) -> str:
    """A fraction from 0 to 1 in percent; a dash for None."""
    return "-" if fraction is None else f"{fraction:.2%}"


def _share(description: Description, title: str, value: int) -> str:
    """What part of the board's memory the whole firmware takes; "" where that is not known, and for its parts."""
    from ggdq_mcu.boards import all_boards

    board = next((one for one in all_boards() if one.name == description.board), None)
    sizes = {"flash of": board.flash_bytes, "RAM of t": board.ram_bytes} if board else {}
    size = sizes.get(title[:8])
    return f", {value / size:.1%} of the board's {number(size)}" if size else ""


def _fit(fit: Fit) -> str:
    correlation = "" if fit.correlation is None else f", correlation {fit.correlation:.4f}"
    return f"RMSE {fit.rmse:.4g}{correlation}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"


def _step(tensor: TensorInfo) -> str:
    if tensor.type == "float32":
        return "-"
    if tensor.steps:
        return f"by channel, {min(tensor.steps):.5g} to {max(tensor.steps):.5g}"
    return f"{tensor.step:.5g}" + (f", zero {tensor.zero_point}" if tensor.zero_point else "")


def scaling(tensor: TensorInfo) -> str:
    """How a tensor's integers q stand for real numbers; by channel where channels differ."""
    if not tensor.steps:
        return f"{tensor.step:.8g} * (q - {tensor.zero_point})"
    pairs = zip(tensor.steps, tensor.zeros, strict=True)
    return "; ".join(f"{step:.8g} * (q - {zero})" for step, zero in pairs) + ", by channel"
