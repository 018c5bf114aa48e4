"""Do builds give the same bytes with the oldest and the newest NumPy and SciPy? Environments for both, and a comparison.

    python benchmarks/reproducible.py [MODEL ...]        (examples/digits.h5 where none is given)

Samples lie beside each model as .npz. Prints each file that differs; exit code 1 where one does.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = ("numpy==1.26.*", "scipy==1.11.*"), ("numpy>=2", "scipy>=1.13")
CORES = ("", "Haswell", "Nehalem", "Prescott")
_BUILD = """
import sys
from pathlib import Path
from ggdq_mcu.pipeline.build import Request, build
build(Request(Path(sys.argv[1]), "nucleo_f446re", Path(sys.argv[2]), compile=False))
"""
_DRAWN = "report.html"  # Matplotlib's pictures


def environment(folder: Path, versions: tuple[str, ...]) -> Path:
    """Python of an environment with the project's dependencies and these versions."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", f"{ROOT}[onnx]", *versions], check=True)
    return python


def files(python: Path, model: Path, core: str, folder: Path) -> dict[str, str]:
    """Hashes of a build's files by their paths."""
    variables = os.environ | {"PYTHONPATH": str(ROOT / "toolchain")} | ({"OPENBLAS_CORETYPE": core} if core else {})
    out = folder / "project"
    subprocess.run([python, "-W", "ignore", "-c", _BUILD, model, out], env=variables, check=True)
    found = sorted(path for path in out.rglob("*") if path.is_file() and path.name != _DRAWN)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def main(models: list[Path]) -> int:
    """Compares all, and returns the number of differing files, at most 1."""
    differing = 0
    with tempfile.TemporaryDirectory() as name:
        pythons = {versions: environment(Path(name) / versions[0][:8], versions) for versions in (OLDEST, NEWEST)}
        for model in models:
            first: dict[str, str] = {}
            for versions, python in pythons.items():
                for core in CORES:
                    with tempfile.TemporaryDirectory() as folder:
                        found = files(python, model.resolve(), core, Path(folder))
                    first = first or found
                    paths = sorted(path for path in first.keys() | found.keys() if first.get(path) != found.get(path))
                    differing += len(paths)
                    print(
                        f"{model.name}, {' '.join(versions)}, {core or 'own'} kernels: {paths or 'equal'}", flush=True
                    )
    return min(differing, 1)


if __name__ == "__main__":
    sys.exit(main([Path(one) for one in sys.argv[1:]] or [ROOT / "examples" / "digits.h5"]))
