"""How do the networks of keras.applications fare that fit a microcontroller? SQNR of logits beside TensorFlow's
converter.

Each is built with random weights, its BatchNormalization statistics taken from a pass in training mode over images of
their own, and calibrated on the same other images by both. The firmware for a Cortex-M4 is compared with the integer
reference, on this computer and emulated.

    python benchmarks/applications.py                    all of them
    python benchmarks/applications.py MobileNetV2        those whose name begins so
    python benchmarks/applications.py --no-firmware      SQNR alone

With GGDQ_PIO=local the firmware is compiled by what is installed here (see ./run setup).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from ggdq_mcu import resources
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.build import Request, build
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.pipeline.verify import verify
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize

BOARD = "mps2_an386"  # Cortex-M4, emulated
FLASH = 8 << 20  # twice what it has: NASNetMobile's weights are more than 4 MB
SETTLING, CALIBRATION, TEST, CLASSES = 400, 100, 100, 10


def networks(keras: Any) -> Iterator[tuple[str, bool, Callable[[], Any]]]:
    """Name, whether it takes pixels as they are (0..255) or -1..1, and what builds it."""
    kinds = keras.applications
    options = {"weights": None, "classes": CLASSES, "classifier_activation": None}
    for alpha, size in ((0.25, 96), (0.5, 64), (1.0, 32)):
        yield (
            f"MobileNet {alpha} {size}px",
            False,
            lambda a=alpha, s=size: kinds.MobileNet((s, s, 3), alpha=a, **options),
        )
    for alpha, size in ((0.35, 96), (0.75, 64), (1.0, 32)):
        yield f"MobileNetV2 {alpha} {size}px", False, lambda a=alpha, s=size: kinds.MobileNetV2((s, s, 3), a, **options)
    for minimalistic in (False, True):
        name = " minimalistic" * minimalistic
        small = {**options, "minimalistic": minimalistic}
        yield f"MobileNetV3Small{name} 64px", True, lambda o=small: kinds.MobileNetV3Small((64, 64, 3), **o)
        yield (
            f"MobileNetV3Large{name} 0.75 64px",
            True,
            lambda o=small: kinds.MobileNetV3Large((64, 64, 3), alpha=0.75, **o),
        )
    yield "EfficientNetB0 64px", True, lambda: kinds.EfficientNetB0(input_shape=(64, 64, 3), **options)
    yield "NASNetMobile 32px", False, lambda: kinds.NASNetMobile((32, 32, 3), **options)


def roomy_board(folder: Path) -> Path:
    """A file of the board with more flash, which the emulator is content with."""
    manifest = json.loads((resources.root("boards") / f"{BOARD}.json").read_text())
    manifest["ggdq"] = {**manifest["ggdq"], "aliases": [], "flash": {**manifest["ggdq"]["flash"], "size": FLASH}}
    manifest["upload"]["maximum_size"] = FLASH
    path = folder / f"{BOARD}_roomy.json"
    path.write_text(json.dumps(manifest))
    return path


def images(generator: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Pixels (count, size, size, 3), uint8, with the spectrum of photographs: amplitude falls as 1 / frequency."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    frequency[0, 0] = 1 / size
    noise = generator.normal(size=(count, 3, size, size))
    smooth = np.fft.ifft2(np.fft.fft2(noise) / frequency).real
    common = smooth.mean(axis=1, keepdims=True)
    smooth = (smooth * 0.4 + common).transpose(0, 2, 3, 1)
    contrast = generator.uniform(20, 70, (count, 1, 1, 1)) / smooth.std(axis=(1, 2, 3), keepdims=True)
    bright = generator.uniform(80, 180, (count, 1, 1, 1))
    return np.clip(smooth * contrast + bright, 0, 255).astype(np.uint8)


def settle(keras: Any, model: Any, x: np.ndarray) -> None:
    """Gives BatchNormalization random factors and the statistics of ``x``."""
    generator = np.random.default_rng(2)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        if layer.scale:
            layer.gamma.assign(generator.uniform(0.5, 1.5, layer.gamma.shape))
        if layer.center:
            layer.beta.assign(generator.normal(0, 0.3, layer.beta.shape))
        layer.momentum = 0.0
    model(x.astype(np.float32), training=True)


def sqnr(wanted: np.ndarray, found: np.ndarray) -> float:
    """Signal to quantization noise of the logits, in dB."""
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2)))


def converted(model: Any, calibration: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Logits of TensorFlow's converter: 8 bits throughout, input and output too."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None].astype(np.float32)] for x in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (door,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    logits = []
    for x in test:
        scale, zero = door["quantization"]
        q = np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(door["index"], q[None])
        interpreter.invoke()
        scale, zero = exit_["quantization"]
        logits.append((interpreter.get_tensor(exit_["index"])[0].astype(np.float64) - zero) * scale)
    return np.stack(logits)


def ours(path: Path, folder: Path, calibration: np.ndarray, compiled: bool) -> tuple[QuantizedGraph, str]:
    """The integer network and, where it is ``compiled``, whether the firmware equals it, here and emulated."""
    if compiled:
        try:
            np.savez(folder / "calibration.npz", x=calibration)
            project = build(
                Request(path, str(roomy_board(folder)), folder / "project", folder / "calibration.npz")
            ).folder
            places = verify(project, ("host", "emulator"), count=2).backends
            texts = (f"{name} {'equal' if one.mismatches == 0 else 'DIFFERS'}" for name, one in places.items())
            return open_project(project).network, ", ".join(texts)
        except GgdqError as error:
            text = str(error)
    else:
        text = "not built"
    graph = optimize(load(path))
    return quantize(graph, calibrate(graph, DataSet({graph.inputs[0]: calibration}))), text


def logits_of(network: QuantizedGraph, test: np.ndarray) -> np.ndarray:
    """What the integer reference computes."""
    (door,), (exit_,) = network.inputs, network.outputs
    inputs = network.quantize_inputs({door: test.astype(np.float32)})
    return network.by_name[exit_].format.dequantize(network.run(inputs)[exit_])


def main(arguments: list[str]) -> None:
    """Prints a line a network."""
    import keras

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    wanted = [argument for argument in arguments if not argument.startswith("--")]
    print(f"{'network':36} {'parameters':>10} {'ours dB':>8} {'TFLite dB':>9} {'seconds':>8}  firmware", flush=True)
    for name, raw, make in networks(keras):
        if wanted and not any(name.startswith(one) for one in wanted):
            continue
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        model = make()
        pixels = images(np.random.default_rng(3), SETTLING + CALIBRATION + TEST, model.input_shape[1])
        x = pixels if raw else pixels / np.float32(127.5) - np.float32(1)
        settle(keras, model, x[:SETTLING])
        x = x[SETTLING:]
        logits = np.asarray(model(x[CALIBRATION:].astype(np.float32), training=False), np.float64)
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            model.save(folder / "model.keras")
            start = time.perf_counter()
            compiled = "--no-firmware" not in arguments
            network, text = ours(folder / "model.keras", folder, x[:CALIBRATION], compiled)
            mine = sqnr(logits, logits_of(network, x[CALIBRATION:]))
            seconds = time.perf_counter() - start
        theirs = sqnr(logits, converted(model, x[:CALIBRATION], x[CALIBRATION:]))
        print(f"{name:36} {model.count_params():10} {mine:8.2f} {theirs:9.2f} {seconds:8.1f}  {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
