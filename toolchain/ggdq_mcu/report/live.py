"""What does the page need to run the network itself? The module, how real numbers become integers, and samples to try."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.tasks import task_of
from ggdq_mcu.graph import Graph, QuantizedGraph

Array = NDArray[Any]
MOST_MODULE_BYTES = 8 << 20  # of a page that a browser opens without waiting
_MOST_SAMPLE_BYTES = 64 << 10
_MOST_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Live:
    """A network that runs in the page. ``data``: JSON that the page's script reads; ``drawn``: what may be put in."""

    data: str
    drawn: bool
    sound: bool
    samples: int


def live(
    module: bytes, name: str, graph: Graph, network: QuantizedGraph, samples: DataSet | None, resets: bool
) -> Live:
    """The network of ``module``, whose functions begin with ggdq_NAME_; ``samples``: some that it may be tried on.

    ``resets``: it keeps state, which is to be zero before each sample.
    """
    inputs = [
        _tensor(network, one, _word("input", number, network.inputs)) for number, one in enumerate(network.inputs)
    ]
    outputs = [
        _tensor(network, o, _word("output", number, network.outputs)) for number, o in enumerate(network.outputs)
    ]
    ranges = [_range(network, one, samples) for one in network.inputs]
    tried = _samples(network, samples)
    known: dict[str, Any] = {
        "module": base64.b64encode(module).decode(),
        "prefix": f"ggdq_{name}_",
        "resets": resets,
        "task": str(task_of(graph, samples.labels if samples else None)),
        "inputs": [{**tensor, "range": list(ends)} for tensor, ends in zip(inputs, ranges, strict=True)],
        "outputs": outputs,
        "samples": tried,
    }
    shape = network.shapes[network.inputs[0]]
    single = len(network.inputs) == 1
    image = len(shape) == 3 and shape[-1] in (1, 3) and min(shape[:2]) > 3
    sound = max(shape, default=0) == int(np.prod(shape)) >= 1000
    data = json.dumps(known, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Live(data, single and image, single and sound, len(tried))


def _word(word: str, number: int, names: tuple[str, ...]) -> str:
    """What the C functions call an input or output."""
    return word if len(names) == 1 else f"{word}_{number}"


def _tensor(network: QuantizedGraph, name: str, function: str) -> dict[str, Any]:
    form = network.by_name[name].format
    steps = np.ravel(form.step).tolist()
    zeros = [form.zero_point] if form.zeros is None else np.ravel(form.zeros).tolist()
    return {
        "name": name,
        "function": function,
        "shape": list(network.shapes[name]),
        "type": str(form.dtype),
        "low": form.low,
        "high": form.high,
        "steps": steps,
        "zeros": zeros,
    }


def _range(network: QuantizedGraph, name: str, samples: DataSet | None) -> tuple[float, float]:
    """From which to which real value the input goes, by its samples, else by its format."""
    if samples is not None:
        values = samples.samples[name]
        low, high = float(values.min()), float(values.max())
        if high > low:
            return low, high
    form = network.by_name[name].format
    ends = [float(np.ravel(form.dequantize(np.array(q)))[0]) for q in (form.low, form.high)]
    return ends[0], ends[1]


def _samples(network: QuantizedGraph, samples: DataSet | None) -> list[dict[str, Any]]:
    """The first samples, as integers, with their labels where these are numbers."""
    if samples is None:
        return []
    some = samples.first(_MOST_SAMPLES)
    integers = network.quantize_inputs({name: x.astype(np.float32) for name, x in some.samples.items()})
    each = sum(array[0].nbytes for array in integers.values())
    labels = None if some.labels is None else some.labels.reshape(len(some), -1)
    result = []
    for number in range(min(len(some), _MOST_SAMPLE_BYTES // max(each, 1))):
        label = None if labels is None or labels.shape[1] != 1 else float(labels[number, 0])
        bytes_ = [base64.b64encode(integers[name][number].tobytes()).decode() for name in network.inputs]
        result.append({"inputs": bytes_, "label": label})
    return result
