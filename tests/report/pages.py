"""Reports of projects that are not compiled, with the network that runs in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ggdq_mcu import QuantizedModel
from ggdq_mcu.data import DataSet
from ggdq_mcu.pipeline.live import live_network, project_sources
from ggdq_mcu.report.html import report

#: Choices of quantization that take little time.
QUICK: dict[str, Any] = {"scheme": "minmax", "adaptive_rounding": False, "channel_steps": False, "headroom": False}


def page_with_network(model: QuantizedModel, folder: Path, board: str = "nucleo", **others: Any) -> Path:
    """The report of a model's project, as a build with a compiler writes it; ``others``: arguments of ``build``."""
    project = model.build(board, folder / "project", name="page", compile=False, **others).folder
    judged: DataSet | None = model.made.judged
    live = live_network(project_sources(project, "page"), "page", model.float_network, model.network, judged)
    assert live is not None, "no compiler for WebAssembly: pip install ziglang"
    page = folder / "page.html"
    text = report(
        model.build(board, folder / "again", name="page", compile=False, **others).description,
        model.network,
        None,
        model.made.levels,
        live=live,
    )
    page.write_text(text, encoding="utf-8")
    return page
