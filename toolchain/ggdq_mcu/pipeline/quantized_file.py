"""How is a quantized model kept in one file? A zip of both networks, the samples, and where they come from."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from ggdq_mcu import storage
from ggdq_mcu.archives import DAMAGED
from ggdq_mcu.data import DataSet, data_set, read_arrays
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.pipeline.project import FLOAT, LEVELS, QUANTIZED, SAMPLES, samples_file
from ggdq_mcu.pipeline.quantized_project import Quantized
from ggdq_mcu.quantization import level_histogram

VERSION = 1
_KIND = "ggdq-mcu model"
_ABOUT = "about.json"
_MOST_BYTES = 1 << 29
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: same model, same bytes


def write(made: Quantized, path: Path) -> None:
    """Writes ``made`` to ``path``, whole or not at all; the same model always gives the same bytes."""
    about = {
        "kind": _KIND,
        "version": VERSION,
        "scheme": made.scheme,
        "calibration": made.calibration,
        "source": dict(made.source),
    }
    network, graph = io.BytesIO(), io.BytesIO()
    storage.save(made.network, network)
    storage.save_float(made.graph, graph)
    members = {
        _ABOUT: json.dumps(about, indent=1).encode(),
        QUANTIZED: network.getvalue(),
        FLOAT: graph.getvalue(),
    }
    if made.samples is not None:
        members[SAMPLES] = samples_file(made.samples, made.graph)
    if made.levels:
        members[LEVELS] = level_histogram.to_json(made.levels)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content.getvalue())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise GgdqError(f"cannot be written ({error.strerror})", str(path)) from error


def read(path: Path) -> Quantized:
    """What ``write`` wrote; GgdqError for anything else, and for versions not known here."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise GgdqError("too large")
            about = json.loads(archive.read(_ABOUT))
            if (about["kind"], about["version"]) != (_KIND, VERSION):
                raise GgdqError(
                    f"holds a {str(about['kind'])[:40]!r} of version {str(about['version'])[:20]!r}",
                    fix=f"this program reads version {VERSION}",
                )
            network = storage.load(io.BytesIO(archive.read(QUANTIZED)))
            graph = storage.load_float(io.BytesIO(archive.read(FLOAT)))
            return Quantized(
                graph,
                network,
                _samples(archive, graph),
                str(about["scheme"]),
                str(about["calibration"]),
                {str(key): str(value) for key, value in about["source"].items()},
                level_histogram.from_json(archive.read(LEVELS)) if LEVELS in archive.namelist() else {},
            )
    except GgdqError as error:
        raise GgdqError(error.what, f"{path}: {error.where}" if error.where else str(path), error.fix) from error
    except FileNotFoundError as error:
        raise GgdqError("no such file", str(path)) from error
    except DAMAGED as error:
        what = f"not a saved model ({type(error).__name__}: {error})"
        raise GgdqError(what, str(path), "give a file that QuantizedModel.save wrote") from error


def _samples(archive: zipfile.ZipFile, graph: Graph) -> DataSet | None:
    if SAMPLES not in archive.namelist():
        return None
    return data_set(read_arrays(io.BytesIO(archive.read(SAMPLES)), SAMPLES), graph, SAMPLES)
