"""Builds give the same bytes whatever BLAS kernel and vector units there are: four networks, in processes of their own.

The oldest and the newest NumPy and SciPy, each in an environment of its own: benchmarks/reproducible.py.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
_BUILD = """
import sys
from pathlib import Path
from ggdq_mcu.pipeline.build import Request, build
for name in sys.argv[2:]:
    build(Request(Path(sys.argv[1]) / name, "nucleo_f446re", Path.cwd() / Path(name).stem, compile=False))
"""
#: OpenBLAS runs the kernels of any core that the processor has the instructions of; with others it takes its own choice.
SETTINGS = {
    "nehalem": {"OPENBLAS_CORETYPE": "Nehalem", "PYTHONHASHSEED": "2"},
    "prescott, no vectors": {
        "OPENBLAS_CORETYPE": "Prescott",
        # Names of NumPy 2.4 and of those before it.
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX",
        "PYTHONHASHSEED": "3",
    },
}


@pytest.fixture(scope="module")
def networks(keras, tmp_path_factory) -> list[Path]:
    """A sequence of motion sensors, a recurrent network, attention-like layers, and an image network without samples."""
    folder, layers = tmp_path_factory.mktemp("networks"), keras.layers
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(3)

    def saved(name: str, source, end, samples: tuple[int, ...] | None) -> Path:
        model = keras.Model(source, end)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
                values = random.uniform(0.5, 2, gamma), random.normal(0, 0.5, beta)
                layer.set_weights([*values, random.normal(0, 0.5, mean), random.uniform(0.5, 2, variance)])
        model.save(folder / f"{name}.keras")
        if samples:
            x = np.cumsum(random.normal(size=samples), axis=1) * random.uniform(0.01, 30, samples[-1])
            np.savez(folder / f"{name}.npz", x=x.astype(np.float32))
        return folder / f"{name}.keras"

    image = keras.Input((10, 10, 3))
    y = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(image)))
    y = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(y)))
    drawn = saved("drawn", image, layers.Dense(5)(layers.Flatten()(layers.Conv2D(8, 1)(y))), None)
    series = keras.Input((48, 6))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(16, 5, strides=2)(series)))
    y = layers.GlobalAveragePooling1D()(layers.Conv1D(24, 3, activation="relu")(y))
    motion = saved("motion", series, layers.Dense(6, activation="softmax")(y), (40, 48, 6))
    steps = keras.Input((12, 8))
    y = layers.LSTM(8)(layers.GRU(10, return_sequences=True)(steps))
    recurrent = saved("recurrent", steps, layers.Dense(4, activation="tanh")(y), (24, 12, 8))
    words = keras.Input((8, 12))
    y = layers.LayerNormalization()(layers.Dense(12, activation="gelu")(words))
    y = layers.Multiply()([layers.Softmax()(layers.Dense(8)(y)), layers.Dense(8, activation="swish")(y)])
    attention = saved("attention", words, layers.Dense(5, activation="softplus")(layers.Flatten()(y)), (24, 8, 12))
    return [drawn, motion, recurrent, attention]


def test_files_do_not_depend_on_the_processor(networks: list[Path], tmp_path: Path) -> None:
    found = {}
    for name, setting in {"as it is": {}, **SETTINGS}.items():
        folder = tmp_path / name
        folder.mkdir()
        # Silent: NumPy warns of features that it does not know.
        arguments = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _BUILD,
            str(networks[0].parent),
            *(one.name for one in networks),
        ]
        paths = {"PYTHONPATH": str(ROOT / "toolchain")}
        subprocess.run(arguments, cwd=folder, env=os.environ | paths | setting, check=True, capture_output=True)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found[name] = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert len(found["as it is"]) > 40
    for name in SETTINGS:
        different = [path for path, content in found["as it is"].items() if found[name].get(path) != content]
        assert not different, f"{name}: {different}"
        assert found[name].keys() == found["as it is"].keys()
