"""Networks that end with log-softmax, as PyTorch exports many, give the classes that they give with softmax."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ggdq_mcu.data import load_data
from ggdq_mcu.describe.evaluation import Evaluation, compare
from ggdq_mcu.graph import Graph
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.importers import load
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

EXAMPLES = Path(__file__).parents[2] / "examples"


def evaluated(end: Operator) -> Evaluation:
    """The example's network with ``end`` as its last operator."""
    graph = optimize(load(EXAMPLES / "digits.h5"))
    graph = Graph(graph.name, (*graph.nodes[:-1], replace(graph.nodes[-1], operator=end)), graph.outputs)
    calibration = calibrate(graph, load_data(EXAMPLES / "digits.npz", graph))
    network = quantize(graph, calibration, Options())
    assert network.by_name[graph.nodes[-2].name].format.bits == 16
    return compare(graph, network, load_data(EXAMPLES / "digits_test.npz", graph))


def test_accuracy_confusion_and_sqnr_are_those_of_the_logits() -> None:
    shares, logarithms = evaluated(Softmax()), evaluated(LogSoftmax())
    assert logarithms.confusion is not None
    assert logarithms.confusion == shares.confusion
    assert (logarithms.accuracy, logarithms.agreement) == (shares.accuracy, shares.agreement)
    assert logarithms.outputs == shares.outputs
