"""The formats of inputs: a grid where the samples lie on one, one for each channel where channels differ."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from small_networks import chain

from ggdq_mcu import storage
from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.importers import load
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.analyze import Measurement
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.inputs import by_channel, channels_may_differ, grid_format
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.schemes import scheme

MEANS, SPREADS = np.array([0.5, -40.0, 1e5]), np.array([0.01, 12.0, 900.0])


def sensors(count: int, seed: int) -> np.ndarray:
    """Samples (N, 3) of channels with 1e5 between their ranges, and far from 0."""
    return np.random.default_rng(seed).normal(MEANS, SPREADS, (count, 3)).astype(np.float32)


def normalised() -> Graph:
    """Two dense layers, the first with a normalisation in it, as importers leave it."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(3, 16)) / SPREADS[:, None]
    first = {"kernel": kernel.astype(np.float32), "bias": (-MEANS @ kernel).astype(np.float32)}
    second = {"kernel": random.normal(size=(16, 4)).astype(np.float32)}
    nodes = Node("hidden", Dense(16, low=0.0), ("image",), first), Node("out", Dense(4), ("hidden",), second)
    return chain(*nodes, shape=(3,))


@pytest.mark.parametrize(
    ("step", "low", "high", "signed"),
    [(1 / 255, 0, 255, False), (0.5847029, -210, 40, True), (1 / 16, 0, 16, False), (3.7e-5, -128, 127, True)],
)
def test_a_grid_is_found_and_costs_nothing(step: float, low: int, high: int, signed: bool) -> None:
    values = (np.random.default_rng(0).integers(low, high + 1, (5, 60, 1)) * np.float32(step)).astype(np.float32)
    form = grid_format(values, 8)
    assert form is not None and form.signed == signed
    np.testing.assert_allclose(form.dequantize(form.quantize(values)), values, rtol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).normal(size=(20, 30)),
        np.zeros((3, 4)),
        np.eye(10),
        np.arange(300.0).reshape(3, 100),
        np.random.default_rng(2).integers(0, 200, (5, 50)) / 200 + 1e-3,
    ],
)
def test_what_lies_on_no_grid_of_so_many_levels_gets_none(values: np.ndarray) -> None:
    assert grid_format(values.astype(np.float32), 8) is None


def test_channels_of_different_ranges_keep_their_levels() -> None:
    graph, few = normalised(), sensors(60, 1)
    network = quantize(graph, calibrate(graph, DataSet({"image": few})))
    form = network.by_name["image"].format
    assert form.zeros is not None
    assert np.all(np.abs(form.zeros) < 2**31) and np.all(np.ptp(form.quantize(few).astype(int), axis=0) > 150)
    held_out = Measurement(graph, calibrate(graph, DataSet({"image": few})), DataSet({"image": sensors(200, 2)}))
    assert held_out.variant("", Options()).sqnr_db > 30
    assert held_out.variant("", Options(bits=16, weight_bits=16)).sqnr_db > 45
    one = Format(8, True, float(few.max()) / 127)
    assert held_out.variant("", Options(input_formats={"image": one})).sqnr_db < 5


def test_a_network_with_such_an_input_is_kept_whole() -> None:
    graph = normalised()
    network, file = quantize(graph, calibrate(graph, DataSet({"image": sensors(60, 1)}))), io.BytesIO()
    storage.save(network, file)
    assert storage.load(file) == network


def test_formats_by_channel_only_where_linear_layers_read_and_zeros_where_none_pads() -> None:
    kernel = {"kernel": np.ones((3, 3, 3, 2), np.float32)}
    plain = Node("conv", Conv2D(Size(3, 3), 2), ("image",), kernel)
    padded = Node("conv", Conv2D(Size(3, 3), 2, padding=Padding(1, 1, 1, 1)), ("image",), kernel)
    flat = Node("flat", Reshape((75,)), ("image",)), Node("dense", Dense(2), ("flat",), {"kernel": np.ones((75, 2))})
    assert channels_may_differ(chain(plain, shape=(5, 5, 3)), "image") == (True, True)
    assert channels_may_differ(chain(padded, shape=(5, 5, 3)), "image") == (True, False)
    assert channels_may_differ(chain(*flat, shape=(5, 5, 3)), "image") == (True, True)
    assert channels_may_differ(chain(flat[0], shape=(5, 5, 3)), "image")[0] is False


def test_padded_channels_are_symmetric() -> None:
    form = by_channel(sensors(20, 3), 8, scheme("mse"), True, offset=False)
    assert form.zeros is None and form.zero_point == 0


@pytest.mark.parametrize(
    ("model", "calibration", "test"),
    [
        ("imu_ranges/m", "imu_ranges/raw_calib", "imu_ranges/raw_test"),
        ("mixed_scales/normlayer", "mixed_scales/calib", "mixed_scales/test"),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_sensors_of_others_keep_their_accuracy(
    shared: Path, model: str, calibration: str, test: str, bits: int
) -> None:
    folder = shared / "cases"
    graph = optimize(load(folder / f"{model}.keras"))
    found = calibrate(graph, load_data(folder / f"{calibration}.npz", graph))
    measurement = Measurement(graph, found, load_data(folder / f"{test}.npz", graph))
    accuracy, real = measurement.variant("", Options(bits=bits)).accuracy, measurement.float_accuracy
    assert accuracy is not None and real is not None and accuracy >= real - 0.005
