"""Which networks are quantized with few samples? Shared ones, small ones trained here, and random ones, each with its data.

Models are kept in the cache folder as Keras files, so that TensorFlow's converter and the importer read the same network.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GGDQ_SHARED", ROOT.parent / "shared"))
CACHE = Path(os.environ.get("GGDQ_CACHE", ROOT / ".cache")) / "few-samples"


@dataclass(frozen=True, eq=False)
class Case:
    """A Keras model and its samples: the first ``pool`` are drawn from for calibration, all others judge.

    ``shuffled``: each draw has its own split of pool and judges. ``tuned``: was it looked at while rules were chosen?
    """

    name: str
    model: Path
    samples: Array
    pool: int
    judges: int
    shuffled: bool = False
    tuned: bool = True

    def draw(self, seed: int) -> tuple[Array, Array]:
        """The calibration samples in the order of one draw, and the samples that judge it."""
        random = np.random.default_rng(seed)
        count = len(self.samples) if self.shuffled else self.pool
        order = random.permutation(count)
        judges = order[self.pool :] if self.shuffled else np.arange(self.pool, len(self.samples))
        return self.samples[order[: self.pool]], self.samples[judges[: self.judges]]


def keras_library() -> Any:
    """TensorFlow's Keras, on the processor alone."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import tensorflow as tf

    return tf.keras


def _kept(name: str, make: Callable[[], Any]) -> Path:
    """The Keras file of that name, made where it is not there yet."""
    path = CACHE / f"{name}.keras"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        make().save(path)
    return path


def _shared(file: str, data: str) -> tuple[Path, Array]:
    path = SHARED / "models" / file
    name = path.stem
    model = _kept(name, lambda: _loaded(path))
    return model, np.load(SHARED / "data" / data)["x"].astype(np.float32)


def _loaded(path: Path) -> Any:
    """A Keras file, also where a legacy configuration says what Keras 3 refuses (groups, numbers for truth values)."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            for layer in config["config"]["layers"]:
                settings = layer["config"]
                if layer["class_name"] == "DepthwiseConv2D":
                    settings.pop("groups", None)
                settings |= {key: bool(settings[key]) for key in ("scale", "center") if key in settings}
            file.attrs["model_config"] = json.dumps(config)
        return keras_library().models.load_model(copy, compile=False)


def kws() -> Case:
    """DS-CNN keyword spotter; its features lie exactly on an 8-bit grid."""
    model, x = _shared("kws_ds_cnn.h5", "kws_features.npz")
    return Case("kws", model, x, 250, 250)


def kws_dithered() -> Case:
    """The same with features that lie on no grid: half a step of dither."""
    model, x = _shared("kws_ds_cnn.h5", "kws_features.npz")
    x = x + np.random.default_rng(7).uniform(-0.5, 0.5, x.shape).astype(np.float32) * np.float32(0.5847029)
    return Case("kws_dithered", model, x, 250, 250)


def resnet8() -> Case:
    """ResNet-8 on CIFAR-10."""
    model, x = _shared("resnet8_cifar10.h5", "cifar10.npz")
    return Case("resnet8", model, x, 300, 200)


def wake_word() -> Case:
    """Streaming wake word of MLPerf Tiny: 45 clips, each draw a split of 24 and 21."""
    model, x = _shared("zoo/mlperf_tiny/str_ww_ref_model.h5", "strww.npz")
    return Case("wake_word", model, x, 24, 21, shuffled=True)


def _random_1d(name: str, seed: int, tuned: bool, normalised: bool) -> Case:
    """Conv1D network of random weights on bursts of several sensors' motion."""

    def make() -> Any:
        keras = keras_library()
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Input((64, 6))]
        for filters, stride in ((16, 1), (24, 2), (32, 2)):
            layers.append(keras.layers.Conv1D(filters, 5, strides=stride, padding="same", use_bias=True))
            if normalised:
                layers.append(keras.layers.BatchNormalization())
            layers.append(keras.layers.ReLU())
        layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(6, activation="softmax")]
        model = keras.Sequential(layers)
        random = np.random.default_rng(seed)
        model.set_weights([_drawn_weights(w, random) for w in model.get_weights()])
        return model

    return Case(name, _kept(name, make), motion(400, seed), 200, 200, tuned=tuned)


def _drawn_weights(w: Array, random: np.random.Generator) -> Array:
    if w.ndim > 1:
        return np.asarray(random.standard_t(5, w.shape) * np.sqrt(1.2 / np.prod(w.shape[:-1])), np.float32)
    return np.asarray(np.abs(random.normal(0.3, 0.3, w.shape)) + 0.05, np.float32)


def motion(count: int, seed: int) -> Array:
    """Windows (count, 64, 6) of oscillations, loud and quiet, with rare jolts: accelerations and rates of turn, scaled."""
    random = np.random.default_rng(seed + 1000)
    time = np.arange(64)
    frequency = random.choice([0.02, 0.05, 0.09, 0.15], (count, 1, 1)) * random.lognormal(0, 0.1, (count, 1, 6))
    loud = random.lognormal(-0.5, 0.8, (count, 1, 1)) * random.lognormal(0, 0.4, (count, 1, 6))
    x = loud * np.sin(2 * np.pi * frequency * time[None, :, None] + random.uniform(0, 6.28, (count, 1, 6)))
    x += 0.1 * random.normal(size=x.shape) + random.normal(0, 0.3, (count, 1, 6))
    jolts = random.random((count, 64, 6)) < 0.004
    return np.asarray(x + jolts * random.standard_t(3, x.shape), np.float32)


def har() -> Case:
    """A 1-D network of random weights, with batch normalisation."""
    return _random_1d("har", 1, True, True)


def har_plain() -> Case:
    """Another, without."""
    return _random_1d("har_plain", 2, False, False)


def _digits(image: bool) -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(x))
    x = x[order].astype(np.float32) / 16
    return (x.reshape(-1, 8, 8, 1) if image else x), y[order]


def _trained(name: str, x: Array, y: Array, layers: Callable[[Any], list[Any]], loss: str, epochs: int = 25) -> Path:
    """A model trained on the samples behind the first 400."""

    def make() -> Any:
        keras = keras_library()
        keras.utils.set_random_seed(4)
        model = keras.Sequential([keras.layers.Input(x.shape[1:]), *layers(keras.layers)])
        model.compile("adam", loss)
        model.fit(x[-len(x) * 3 // 4 :], y[-len(x) * 3 // 4 :], epochs=epochs, batch_size=32, verbose=0)
        return model

    return _kept(name, make)


def digits_cnn() -> Case:
    """Two convolutions with batch normalisation on 8x8 digits."""
    x, y = _digits(True)

    def layers(k: Any) -> list[Any]:
        blocks = [[k.Conv2D(f, 3, padding="same"), k.BatchNormalization(), k.ReLU(), k.MaxPool2D()] for f in (16, 32)]
        return [*blocks[0], *blocks[1], k.Flatten(), k.Dense(10, activation="softmax")]

    return Case(
        "digits_cnn", _trained("digits_cnn", x, y, layers, "sparse_categorical_crossentropy"), x[:420], 220, 200
    )


def digits_mlp() -> Case:
    """Three dense layers on digits."""
    x, y = _digits(False)

    def layers(k: Any) -> list[Any]:
        return [k.Dense(64, activation="relu"), k.Dense(32, activation="relu"), k.Dense(10, activation="softmax")]

    return Case(
        "digits_mlp", _trained("digits_mlp", x, y, layers, "sparse_categorical_crossentropy"), x[:420], 220, 200
    )


def digits_autoencoder() -> Case:
    """Reconstruction of digits through eight numbers."""
    x, _ = _digits(False)

    def layers(k: Any) -> list[Any]:
        inner = [k.Dense(n, activation="relu") for n in (48, 8, 48)]
        return [*inner, k.Dense(64)]

    model = _trained("digits_autoencoder", x, x, layers, "mse", 40)
    return Case("digits_autoencoder", model, x[:420], 220, 200, tuned=False)


def cancer() -> Case:
    """Thirty measurements, standardised, through two dense layers."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(x))
    x = ((x - x.mean(axis=0)) / x.std(axis=0))[order].astype(np.float32)

    def layers(k: Any) -> list[Any]:
        return [k.Dense(24, activation="relu"), k.Dense(12, activation="relu"), k.Dense(2, activation="softmax")]

    model = _trained("cancer", x, y[order], layers, "sparse_categorical_crossentropy")
    return Case("cancer", model, x, 250, 300, tuned=False)


def photographs() -> Case:
    """Depthwise separable blocks that tell crops of two photographs apart."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(5)
    crops, labels = [], []
    for label, image in enumerate(load_sample_images().images):
        for _ in range(700):
            top, left = random.integers(0, image.shape[0] - 48), random.integers(0, image.shape[1] - 48)
            crops.append(image[top : top + 48 : 2, left : left + 48 : 2])
            labels.append(label)
    order = random.permutation(len(crops))
    x, y = np.asarray(crops, np.float32)[order], np.asarray(labels)[order]

    def layers(k: Any) -> list[Any]:
        def block(filters: int, stride: int) -> list[Any]:
            first = [k.DepthwiseConv2D(3, strides=stride, padding="same"), k.BatchNormalization(), k.ReLU(6.0)]
            return [*first, k.Conv2D(filters, 1), k.BatchNormalization(), k.ReLU(6.0)]

        start = [k.Rescaling(1 / 127.5, -1.0), k.Conv2D(8, 3, strides=2, padding="same"), k.BatchNormalization()]
        middle = [*block(16, 1), *block(32, 2), *block(32, 1)]
        return [*start, k.ReLU(6.0), *middle, k.GlobalAveragePooling2D(), k.Dense(2, activation="softmax")]

    model = _trained("photographs", x, y, layers, "sparse_categorical_crossentropy", 6)
    return Case("photographs", model, x[:350], 220, 130, tuned=False)


CASES: dict[str, Callable[[], Case]] = {
    make.__name__: make
    for make in (
        kws,
        kws_dithered,
        resnet8,
        wake_word,
        har,
        digits_cnn,
        digits_mlp,
        har_plain,
        digits_autoencoder,
        cancer,
        photographs,
    )
}
