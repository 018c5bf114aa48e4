"""ggdq-mcu build: a model becomes a firmware project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ggdq_mcu.cli._completion import board_names, scheme_names
from ggdq_mcu.cli._output import emit, json_option, number, progress, shapes_option
from ggdq_mcu.cli._settings import FILE, read_settings, write_settings
from ggdq_mcu.cli._text import layers_text, quality_lines, sizes_text
from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.quantized_project import Built

_KEEP = "--keep-quantization"
IMPROVEMENTS = (
    "channel-steps",
    "fit-range",
    "adaptive-rounding",
    "compensation",
    "bias-correction",
    "headroom",
    "narrowing",
    "wide-logits",
)

_ENERGY_BAUD = 9600  # of the benchmark's energy runs
_LAYERS_SHOWN = 5  # with them, the summary fits a terminal of 24 lines


class _Build(click.Command):
    """The command, where --keep-quantization alone is --keep-quantization=micro and takes no argument that follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without MODEL, what ggdq.toml of this folder says counts for all that the line leaves out."""
        line = [f"{_KEEP}=micro" if one == _KEEP else one for one in args]
        if Path(FILE).is_file() and not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(list(line))
            if not isinstance(given.get("model"), str):
                ctx.default_map = read_settings(Path(FILE), self)
        return super().parse_args(ctx, line)


@click.command(cls=_Build)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--board",
    required=True,
    shell_complete=board_names,
    help="Board name or alias (ggdq-mcu boards), or a board's JSON file.",
)
@click.option(
    "--calib",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Calibration samples, .npz with x (N first); for many files a pattern: 'shards/*.npz'. "
    "Without: MODEL's name with .npz, if it lies beside it; else no data.",
)
@click.option("--workers", metavar="ADDRESS", help="Dask scheduler whose workers calibrate, a file each.")
@click.option("--calib-count", type=click.IntRange(1), metavar="N", help="Use the first N calibration samples only.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the project  [default: MODEL-BOARD]",
)
@click.option("--name", default="network", show_default=True, help="The network's name in C: ggdq_NAME_invoke.")
@click.option(
    "--scheme",
    shell_complete=scheme_names,
    default="ggd-tuned",
    show_default=True,
    help="How steps are chosen: minmax, pow2, percentile, kl, "
    "mse, laplace, gauss, ggd, ggd-exact, ggd-tail, ggd-tuned.",
)
@click.option(
    "--bits",
    type=click.IntRange(2, 16),
    default=8,
    show_default=True,
    metavar="N",
    help="Bits of the feature maps; below 8, those of the large ones.",
)
@click.option(
    "--weight-bits",
    type=click.IntRange(2, 16),
    default=8,
    show_default=True,
    metavar="N",
    help="Bits of the weights.",
)
@click.option("--per-tensor", is_flag=True, help="One fraction length a layer instead of one an output channel.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(IMPROVEMENTS),
    help="Leave out an improvement; may be given several times.",
)
@click.option(
    "--prune-dead",
    is_flag=True,
    help="Remove channels that stay constant on the calibration samples too, not only those proved constant.",
)
@click.option(
    "--input-format",
    "input_formats",
    multiple=True,
    metavar="T:SCALE:ZERO",
    help="Give the input's format: T is u8, s8 or s16, real = SCALE * (q - ZERO). Several inputs: NAME=T:SCALE:ZERO. "
    "Default auto: the samples' grid, one format, or one for each channel where that is better.",
)
@click.option(
    "--frontend",
    default="",
    metavar="NAME[,KEY=VALUE]",
    help="What makes the network's input of 16-bit samples, in the firmware too: mfcc, log-mel, micro-frontend.",
)
@shapes_option
@click.option(
    "--goal",
    type=click.Choice(["speed", "balanced", "size"]),
    default="balanced",
    show_default=True,
    help="What kernels are chosen for.",
)
@click.option(
    "--budget",
    metavar="WANTED",
    help="Find each layer's bit lengths: the least memory that keeps sqnr=DB or accuracy=POINTS below float, or the "
    "best within flash=N,ram=N (all may be given: flash=64k,ram=20k,sqnr=25; bits=8: nothing longer).",
)
@click.option("--ram", metavar="N", help="Bytes of RAM that the firmware may take (20k is 20 KiB), stack included.")
@click.option("--flash", metavar="N", help="Bytes of flash that the firmware may take.")
@click.option(
    "--app",
    type=click.Choice(["serial", "mlperf-tiny"]),
    default="serial",
    show_default=True,
    help="What the firmware says on its serial port besides verify's frames.",
)
@click.option("--model-id", default="", metavar="ID", help="What an mlperf-tiny firmware calls its model, like kws01.")
@click.option("--baud", type=click.IntRange(1200), metavar="N", help="Baud rate of the firmware's serial port.")
@click.option(
    "--energy-pin",
    default="",
    metavar="PIN",
    help="An mlperf-tiny firmware for energy runs: 9600 baud, and each time stamp is a low pulse on this pin (PA8, or a "
    "number for boards with a framework).",
)
@click.option("--self-test", is_flag=True, help="At the start the firmware checks its constants and a stored sample.")
@click.option(
    _KEEP,
    type=click.Choice(["micro", "reference"]),
    metavar="[=reference]",
    help="A quantized .tflite keeps its own formats and the arithmetic of TensorFlow Lite Micro, to the bit, instead of "
    "being requantized; =reference: that of TensorFlow Lite's reference kernels for desktops.",
)
@click.option("--tune", is_flag=True, help="Count each layer's kernels on the emulated core and choose by the counts.")
@click.option(
    "--streaming",
    is_flag=True,
    help="Take frame by frame (rows of the input) and keep what the next window needs: ggdq_NAME_push.",
)
@click.option("--hop", type=click.IntRange(1), metavar="N", help="Frames from one window of a stream to the next.")
@click.option("--compile/--no-compile", "compile_", default=True, show_default=True, help="Compile the firmware too.")
@click.option(
    "--keep-going", is_flag=True, help="Write the project even if compiling fails or the firmware exceeds a limit."
)
@click.option("--strict", is_flag=True, help="Make what would be a warning an error: nothing is written.")
@click.option(
    "--save-config", type=click.Path(path_type=Path), metavar="F", help="Write these choices to F, like ggdq.toml."
)
@json_option
def command(
    *,
    model: Path,
    board: str,
    calib: Path | None,
    workers: str | None,
    calib_count: int | None,
    out: Path | None,
    name: str,
    scheme: str,
    bits: int,
    weight_bits: int,
    per_tensor: bool,
    without: tuple[str, ...],
    prune_dead: bool,
    input_formats: tuple[str, ...],
    frontend: str,
    input_shapes: tuple[str, ...],
    goal: str,
    budget: str | None,
    ram: str | None,
    flash: str | None,
    app: str,
    model_id: str,
    baud: int | None,
    energy_pin: str,
    self_test: bool,
    keep_quantization: str | None,
    tune: bool,
    streaming: bool,
    hop: int | None,
    compile_: bool,
    keep_going: bool,
    strict: bool,
    save_config: Path | None,
    as_json: bool,
) -> None:
    """Quantize MODEL (.h5, .keras, .tflite, .onnx) and write a PlatformIO project whose firmware computes it.

    \b
    Examples:
      ggdq-mcu build model.h5 --board nucleo
      ggdq-mcu build model.keras --board nucleo --calib samples.npz --out firmware --input-format u8:1:0
      ggdq-mcu build kws.h5 --board nucleo --streaming
      ggdq-mcu build model.h5 --board nucleo --calib samples.npz --budget flash=64k,ram=20k,sqnr=25
      ggdq-mcu build model.h5 --board nucleo --calib samples.npz --save-config ggdq.toml
      ggdq-mcu build                                  (what ggdq.toml of this folder says)
      ggdq-mcu build kws.h5 --board nucleo --app mlperf-tiny --model-id kws01 --input-format s8:0.5847029:83
    """
    from ggdq_mcu.importers.shapes import parse_shapes
    from ggdq_mcu.pipeline.build import Request, build
    from ggdq_mcu.pipeline.mixed_bits import parse_budget
    from ggdq_mcu.planning.stream_plan import Streaming
    from ggdq_mcu.projects import App
    from ggdq_mcu.quantization.options import Options

    if save_config is not None:
        write_settings(save_config, click.get_current_context())
    if hop and not streaming:
        raise GgdqError("is for a stream", "--hop", "add --streaming")
    switches: dict[str, Any] = {name.replace("-", "_"): name not in without for name in IMPROVEMENTS}
    wanted = None if budget is None else parse_budget(budget)
    request = Request(
        model=model,
        board=board,
        out=out,
        data=calib,
        calibration_samples=calib_count,
        workers=workers,
        name=name,
        options=Options(scheme, bits, weight_bits, per_channel=not per_tensor, prune_dead=prune_dead, **switches),
        input_formats=_formats(input_formats),
        input_shapes=parse_shapes(input_shapes),
        goal=goal,
        ram=_limit("--ram", ram, wanted.ram if wanted else None),
        flash=_limit("--flash", flash, wanted.flash if wanted else None),
        budget=wanted,
        app=App(app, model_id, self_test, baud or (_ENERGY_BAUD if energy_pin else 0), energy_pin),
        compile=compile_,
        tune=tune,
        keep_quantization=keep_quantization or "",
        streaming=Streaming(hop) if streaming else None,
        keep_going=keep_going,
        frontend=frontend,
        strict=strict,
    )
    with progress() as reporter:
        built = build(request, reporter)
    emit({**vars(built.description), "quality": built.quality}, as_json, lambda: _text(built))


def _limit(option: str, text: str | None, in_budget: int | None) -> int | None:
    """A limit in bytes, given as an option or in the budget."""
    from ggdq_mcu.pipeline.budget import parse_bytes

    if text is None:
        return in_budget
    if in_budget is not None:
        raise GgdqError("given twice", f"{option} {text!r}", f"give it in --budget or as {option}")
    return parse_bytes(text)


def _formats(texts: tuple[str, ...]) -> dict[str, str]:
    """Formats by input name; "" is the only input."""
    result: dict[str, str] = {}
    for text in texts:
        name, _, format_ = text.rpartition("=")
        if name in result:
            raise GgdqError("given twice", f"input format {text!r}")
        result[name] = format_
    return result


def _text(built: Built) -> str:
    description = built.description
    layers = layers_text(description, _LAYERS_SHOWN)
    left = len(description.layers) - _LAYERS_SHOWN
    if left > 0:
        layers += f"\nand {left} layers of less work: ggdq-mcu inspect {built.folder}"
    lines = [layers, "", sizes_text(description), ""]
    if built.quality is not None:
        lines += [f"{line}, on {built.quality.samples} calibration samples" for line in quality_lines(built.quality)]
    lines += [f"project: {built.folder}", f"report: {built.folder / 'report.html'}"]
    if description.firmware:
        lines.append(f"firmware: {description.firmware} ({number(description.flash_bytes)} bytes of flash)")
    return "\n".join(lines)
