"""Mel spectra and MFCC against the definitions of the libraries that networks are trained with, by their SQNR."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from benchmarks.front_ends import sqnr
from benchmarks.speech import speech

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend import MFCC, LogMel, attach, attach_kept, parse
from ggdq_mcu.frontend.features import INPUT, SAMPLES
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.mel_spectrum import binary_logarithm, magnitude
from ggdq_mcu.operators.reshape import Reshape


def of_tensorflow(wave: np.ndarray, coefficients: int) -> Any:
    """MLPerf Tiny's features for keyword spotting (frames, coefficients, or 40 where these are 0), by tf.signal."""
    import tensorflow as tf

    spectrum = tf.abs(tf.signal.stft(wave.astype(np.float32) / 32768, 480, 320, 512))
    bank = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, 20.0, 4000.0)
    logs = tf.math.log(tf.tensordot(spectrum, bank, 1) + 1e-6)
    return tf.signal.mfccs_from_log_mel_spectrograms(logs)[..., :coefficients].numpy() if coefficients else logs.numpy()


@pytest.mark.parametrize("features", [MFCC(), LogMel()], ids=["mfcc", "log-mel"])
def test_features_are_those_of_tensorflow(keras: ModuleType, features: LogMel) -> None:
    waves = list(speech(3))
    wanted = [of_tensorflow(wave, getattr(features, "coefficients", 0)) for wave in waves]
    step = float(np.abs(np.concatenate(wanted)).max()) / 32700
    assert sqnr(wanted, [features(wave) for wave in waves]) > 80
    assert sqnr(wanted, [features.integers(wave, Format(16, True, step)) * step for wave in waves]) > 75
    assert sqnr(wanted, [features.real(wave) for wave in waves]) > 80  # TensorFlow's single precision


@pytest.mark.parametrize("preset", ["tf", "librosa", "torchaudio"])
@pytest.mark.parametrize("size", [256, 512])
def test_firmware_computes_the_definition(preset: str, size: int) -> None:
    features = MFCC(preset=preset, window=size, step=160, highest=8000.0, coefficients=13, shape="hamming", bands=26)
    waves = list(speech(2))
    assert sqnr([features.real(wave) for wave in waves], [features(wave) for wave in waves]) > 70


def test_waves_of_any_shape_and_level() -> None:
    waves = np.stack([[np.resize(wave, 2000) for wave in speech(2)]] * 3)
    found = LogMel()(waves)
    assert found.shape == (3, 2, 5, 40)
    np.testing.assert_array_equal(found[1, 1], LogMel()(waves[1, 1] / 32768))
    silent = LogMel()(np.zeros(480, np.int16))
    np.testing.assert_allclose(silent, np.log(1e-6), atol=1e-3)


def test_tables_with_straight_lines_are_near() -> None:
    x = (2.0 ** np.random.default_rng(0).uniform(40, 61.9, 10000)).astype(np.int64)
    assert np.abs(magnitude(x) / np.sqrt(x) - 1).max() < 6e-5
    assert np.abs(binary_logarithm(x) / 65536 - np.log2(x)).max() < 5e-5
    small = np.arange(9)
    np.testing.assert_array_equal(magnitude(small), [0, 1, 1, 1, 2, 2, 2, 2, 2])


def test_a_recipe_goes_before_a_network_of_frames() -> None:
    graph = Graph("net", (Node("x", Input((49, 10, 1))), Node("y", Reshape((490,)), ("x",))), ("y",))
    whole = attach(graph, parse("mfcc"))
    assert whole.shapes[whole.inputs[0]] == (15840, 1)
    form = Format(8, True, 0.58, 83)
    network = QuantizedGraph(
        "net", tuple(QuantizedNode(n.name, n.operator, n.inputs, form) for n in graph.nodes), ("y",)
    )
    _, kept = attach_kept(graph, network, parse("mfcc"))
    (wave,) = speech(1)
    wave = np.resize(wave, 15840)
    (found,) = kept.run({INPUT: wave.reshape(1, -1, 1)}).values()
    np.testing.assert_array_equal(found[0], MFCC().integers(wave, form).ravel())
    assert kept.by_name[INPUT].format == SAMPLES


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(GgdqError, match="no preset"):
        parse("mfcc,preset=kaldi")
    with pytest.raises(GgdqError, match="coefficients"):
        parse("mfcc,coefficients=41")(np.zeros(480, np.int16))
    with pytest.raises(GgdqError, match="points"):
        LogMel(size=500)(np.zeros(480, np.int16))
