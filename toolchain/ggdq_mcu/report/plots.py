"""How do the feature maps look, and what do the steps make of them? SVG pictures of an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from ggdq_mcu.quantization.ggd import GeneralizedGamma
from ggdq_mcu.quantization.schemes import DEFAULT

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.analyze import Analysis, Layer
    from ggdq_mcu.quantization.histogram import Side

_BINS = 120
_COMPARED = ("minmax", "ggd", DEFAULT)


def write_plots(analysis: Analysis, sides: Mapping[str, Side], folder: Path) -> list[Path]:
    """Writes a histogram of each feature map and the SQNR by layer; the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, layer in enumerate(analysis.layers):
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        _histogram(figure.subplots(), layer, sides[layer.name])
        written.append(_save(figure, folder / f"{number:02}_{_file_name(layer.name)}.svg"))
    figure = Figure(figsize=(8, 4), layout="constrained")
    _by_layer(figure.subplots(), analysis)
    written.append(_save(figure, folder / "sqnr_by_layer.svg"))
    return written


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path


def _file_name(layer: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in layer)[:60]


def _histogram(axes: Any, layer: Layer, side: Side) -> None:
    """Density of the values that are not zero, the fitted density, and where each scheme's levels end."""
    edges = np.linspace(0, float(side.maximum[0]) or 1.0, _BINS + 1)
    share = -np.diff(side.survival(edges[None])[0]) / max(float(side.total[0]), 1.0)
    width = edges[1] - edges[0]
    axes.stairs(share / width, edges, fill=True, color="0.8", label="values")
    middles = (edges[:-1] + edges[1:]) / 2
    density = GeneralizedGamma.of(layer.fit.k, layer.fit.c, layer.fit.s).density(middles[None])[0]
    axes.plot(middles, density, color="C0", linewidth=1, label="generalized gamma")
    bits = max(layer.steps)
    levels = (1 << bits) - 1 if layer.rectified else (1 << (bits - 1)) - 1
    for color, name in enumerate(_COMPARED, start=1):
        end = layer.steps[bits][name] * levels
        axes.axvline(end, color=f"C{color}", linewidth=1, label=f"{name}: {layer.sqnr_db[bits][name]:.1f} dB")
    axes.set_yscale("log")
    positive = share[share > 0] / width
    axes.set_ylim(positive.min() / 3 if positive.size else 1e-3, positive.max() * 3 if positive.size else 1)
    axes.set_xlabel("value" if layer.rectified else "magnitude")
    axes.set_title(f"{layer.name}, last level at {bits} bits")
    axes.legend(fontsize="small")


def _by_layer(axes: Any, analysis: Analysis) -> None:
    names = [layer.name for layer in analysis.layers]
    for bits in analysis.layers[0].sqnr_db if analysis.layers else ():
        axes.plot(names, [layer.sqnr_db[bits][DEFAULT] for layer in analysis.layers], "o-", label=f"{bits} bits, alone")
    axes.plot(names, [analysis.layers_sqnr_db.get(name, np.nan) for name in names], "ks--", label="in the network")
    axes.set_ylabel("SQNR in dB")
    axes.tick_params("x", rotation=60, labelsize="small")
    axes.legend(fontsize="small")
