"""ggdq-mcu analyze: what quantization costs, by layer, scheme, bit length and improvement."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option, number, progress, shapes_option, table
from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.analyze import Analysis, TensorCost, Variant


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--calib",
    required=True,
    type=click.Path(path_type=Path),
    metavar="F",
    help="Samples, .npz with x (N first) and, for the accuracy, y.",
)
@click.option(
    "--calib-count",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    metavar="N",
    help="Calibrate on the first N samples; the rest, if there is any, is for the comparison.",
)
@click.option("--bits", default="4,6,8", show_default=True, metavar="N,...", help="Bit lengths to look at, 2 to 16.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write SVG plots there: histograms with the fitted density and the steps, SQNR by layer.",
)
@shapes_option
@json_option
def command(
    model: Path,
    calib: Path,
    calib_count: int,
    bits: str,
    plots: Path | None,
    input_shapes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Quantize MODEL in many ways and show what each choice is worth.

    \b
    Examples:
      ggdq-mcu analyze model.h5 --calib samples.npz
      ggdq-mcu analyze model.h5 --calib samples.npz --bits 4,8 --plots plots --json
    """
    from ggdq_mcu.importers.shapes import parse_shapes
    from ggdq_mcu.pipeline.analyze import analyze

    try:
        lengths = tuple(int(part) for part in bits.split(","))
    except ValueError as error:
        raise GgdqError("are not whole numbers with commas between", f"bits {bits!r}", "write --bits 4,6,8") from error
    if plots is not None and find_spec("matplotlib") is None:
        raise GgdqError("needs matplotlib", "--plots", "pip install 'ggdq-mcu[plots]'")
    with progress() as reporter:
        analyzed = analyze(model, calib, lengths, calib_count, reporter, parse_shapes(input_shapes))
    if plots is not None:
        from ggdq_mcu.report.plots import write_plots

        write_plots(analyzed.analysis, analyzed.sides, plots)
    emit(analyzed.analysis, as_json, lambda: _text(analyzed.analysis))


def _text(analysis: Analysis) -> str:
    schemes = list(next(iter(analysis.layers[0].sqnr_db.values()))) if analysis.layers else []
    parts = []
    for bits in analysis.layers[0].sqnr_db if analysis.layers else ():
        header = [f"SQNR in dB, {bits} bits", *schemes]
        rows = [[layer.name, *(number(layer.sqnr_db[bits][name], 1) for name in schemes)] for layer in analysis.layers]
        parts.append(table(header, rows, "l" + "r" * len(schemes)))
    header = ["feature map", "zeros", "k", "c", "s", "SQNR in the network"]
    fits = [
        [
            layer.name,
            f"{layer.zeros:.1%}",
            *(f"{value:.4g}" for value in (layer.fit.k, layer.fit.c, layer.fit.s)),
            number(analysis.layers_sqnr_db.get(layer.name), 1),
        ]
        for layer in analysis.layers
    ]
    parts.append(table(header, fits, "lrrrrr"))
    parts += [
        _variants("feature maps and weights of", analysis.bits),
        _variants("steps by scheme", analysis.schemes),
        _variants("8 bits without", analysis.without),
    ]
    if analysis.tensors:
        parts.append(_tensors(analysis.tensors))
    told = f"calibrated on {analysis.calibrated_on} samples, compared on {analysis.compared_on}"
    if analysis.float_accuracy is not None:
        told += f"; accuracy of the float network {analysis.float_accuracy:.2%}"
    return "\n\n".join([*parts, told])


def _tensors(tensors: Sequence[TensorCost]) -> str:
    """What one tensor at another length than 8 bits costs in dB, and the bytes that it saves."""
    lengths = sorted({bits for tensor in tensors for bits in tensor.lost_db})
    header = ["tensor alone", "", *(part for bits in lengths for part in (f"{bits} bits, dB", "bytes"))]
    rows = []
    for tensor in tensors:
        pairs = ((tensor.lost_db.get(bits), tensor.saved_bytes.get(bits)) for bits in lengths)
        cells = [("-", "-") if lost is None else (f"{-lost:+.2f}", f"{-(saved or 0):+d}") for lost, saved in pairs]
        rows.append([tensor.name, tensor.kind, *(part for pair in cells for part in pair)])
    return table(header, rows, "ll" + "rr" * len(lengths))


def _variants(title: str, variants: Sequence[Variant]) -> str:
    rows = [
        [
            variant.name.replace("_", "-"),
            number(variant.sqnr_db, 1),
            "-" if variant.accuracy is None else f"{variant.accuracy:.2%}",
            f"{variant.agreement:.2%}",
        ]
        for variant in variants
    ]
    return table([title, "SQNR of the logits in dB", "accuracy", "same class"], rows, "lrrr")
