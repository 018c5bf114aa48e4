"""How does a project's network get into its report, to run there? Its portable C, as WebAssembly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.projects.interface import native_library, parse_header
from ggdq_mcu.projects.webassembly import compile_webassembly
from ggdq_mcu.report.live import MOST_MODULE_BYTES, Live, live


def portable_sources(files: Mapping[str, str | bytes], name: str) -> dict[str, str]:
    """The C files of the network that any compiler takes, by file name, among a project's ``files`` by path."""
    twin = f"{native_library(name)}/src/"
    own = twin if any(path.startswith(twin) for path in files) else f"lib/ggdq_{name}/src/"
    return {
        path.removeprefix(own): text
        for path, text in files.items()
        if path.startswith(own) and isinstance(text, str) and "selftest" not in path
    }


def project_sources(folder: Path, name: str) -> dict[str, str]:
    """The same of a project on the disk."""
    places = (folder / native_library(name) / "src", folder / "lib" / f"ggdq_{name}" / "src")
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for place in places
        for path in sorted(place.glob("*.[ch]"))
    }
    return portable_sources(files, name)


def live_network(
    sources: Mapping[str, str],
    name: str,
    graph: Graph,
    network: QuantizedGraph,
    samples: DataSet | None,
    progress: Progress = SILENT,
) -> Live | None:
    """The network that runs in the page; None, with a note, where there is no compiler for it or it would be too large.

    ``sources`` as ``portable_sources`` gives them. A stream's network runs on whole windows there.
    """
    header = sources[f"ggdq_{name}.h"]
    interface = parse_header(name, header)
    if interface.window:
        whole = make_plan(network, CORES["host"], "balanced", stages=())
        sources = render_network(whole, name)
        header = sources[f"ggdq_{name}.h"]
        interface = parse_header(name, header)
    prefix = f"ggdq_{name}_"
    resets = f"void {prefix}reset(void);" in header
    functions = [
        "invoke",
        *(["reset"] if resets else []),
        *(port.name for port in (*interface.inputs, *interface.outputs)),
    ]
    try:
        module = compile_webassembly(sources, [prefix + function for function in functions])
    except GgdqError as error:
        progress.note(f"the network does not run in the report: {error}")
        return None
    if module is not None and len(module) > MOST_MODULE_BYTES:
        progress.note(f"the network does not run in the report: {len(module) >> 20} MiB are too many for a page")
        return None
    return None if module is None else live(module, name, graph, network, samples, resets)
