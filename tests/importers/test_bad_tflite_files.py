"""TFLite files that are damaged or hostile: one line that names the file, no traceback, no memory by announced sizes."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from importers.tflite_files import FileTensor, Op, constant, write

IMAGE = (1, 6, 5, 2)
KERNEL = np.linspace(-1, 1, 54).reshape(3, 3, 3, 2)
TENSORS = (
    FileTensor(IMAGE, name="image"),
    constant(KERNEL),
    constant([1, 2, 3]),
    FileTensor((1, 6, 5, 3), name="net/conv/x"),
)
CONV = Op("CONV_2D", (0, 1, 2), (3,), "Conv2DOptions", {"StrideH": 1, "StrideW": 1})
MOST_MEMORY = 1 << 28  # bytes by which reading a small file may raise the peak


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a convolution and a softmax."""
    tensors = [*TENSORS, FileTensor((1, 6, 5, 3))]
    path = tmp_path_factory.mktemp("small") / "small.tflite"
    write(path, tensors, [CONV, Op("SOFTMAX", (3,), (4,), "SoftmaxOptions", {"Beta": 1.0})], [0], [4])
    assert list(load(path).by_name) == ["image", "conv", "softmax"]
    return path.read_bytes()


def assert_refused(path: Path, *parts: str) -> None:
    with pytest.raises(GgdqError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(path))
    for part in parts:
        assert part in line


@settings(max_examples=drawn(300))
@given(data=st.data())
def test_changed_bytes_are_a_network_or_one_line(
    small: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(small)
    positions = st.integers(0, len(content) - 1)
    for position, value in data.draw(st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=4)):
        content[position] = value
    content = content[: data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2, 8]))]
    content[4:8] = b"TFL3"
    path = tmp_path_factory.getbasetemp() / "changed.tflite"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        graph = load(path)
        assert graph.outputs
    except GgdqError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


def test_words_of_offsets_at_their_ends_are_one_line(small: bytes, tmp_path: Path) -> None:
    """Every word of the file in turn is zero or the largest: offsets that point at themselves and outside."""
    path = tmp_path / "offsets.tflite"
    refused = 0
    for place in range(0, len(small) - 3, 4):
        word = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")[place // 4 % 3]
        changed = small[:place] + word + small[place + 4 :]
        path.write_bytes(changed[:4] + b"TFL3" + changed[8:])
        try:
            load(path)
        except GgdqError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(str(path))
    assert refused > 50


def wrong(
    tensors: dict[int, FileTensor] | None = None, op: Op = CONV, ends: tuple[list[int], list[int]] = ([0], [3])
) -> Any:
    """What ``write`` takes: the convolution with something changed."""
    return [*({**dict(enumerate(TENSORS)), **(tensors or {})}).values()], [op], *ends


BAD = {
    "batch of 4": (wrong({0: FileTensor((4, 6, 5, 2))}), "batch of 1"),
    "no batch": (wrong({0: FileTensor((2,))}), "one image"),
    "giant": (wrong({0: FileTensor((1, 1 << 14, 1 << 14, 1 << 14))}), "elements"),
    "negative": (wrong({0: FileTensor((1, -6, 5, 2))}), "shape"),
    "kernel of other channels": (wrong({1: constant(KERNEL[..., :1].repeat(3, 3))}), "'conv' (CONV_2D)", "channels"),
    "kernel of other bytes": (wrong({1: replace(TENSORS[1], shape=(3, 3, 3, 3))}), "bytes"),
    "kernel of NaN": (wrong({1: constant(KERNEL * np.nan)}), "NaN"),
    "kernel of integers": (wrong({1: constant(KERNEL, "int8")}), "no scale"),
    "kernel of texts": (wrong({1: replace(TENSORS[1], type_number=5)}), "CONV_2D"),
    "kernel of scale zero": (wrong({1: constant(KERNEL, "int8", scales=[0.0])}), "scales"),
    "kernel of two scales": (wrong({1: constant(KERNEL, "int8", scales=[1.0, 1.0])}), "2 scales"),
    "kernel computed": (wrong({1: FileTensor((3, 3, 3, 2))}), "nothing before it computes"),
    "buffer out of range": (wrong({1: replace(TENSORS[1], buffer=99)}), "buffers"),
    "bias of other channels": (wrong({2: constant([1, 2])}), "bias"),
    "output of other shape": (wrong({3: FileTensor((1, 6, 5, 4))}), "computes (6, 5, 3)"),
    "state": (wrong({3: FileTensor((1, 6, 5, 3), variable=True)}), "state"),
    "tensor out of range": (wrong(op=replace(CONV, inputs=(0, 1, 9))), "tensor"),
    "reads itself": (wrong(op=replace(CONV, inputs=(3, 1, 2))), "nothing before it computes"),
    "writes its input": (wrong(op=replace(CONV, outputs=(0,))), "there already"),
    "stride of zero": (wrong(op=replace(CONV, options={"StrideH": 0, "StrideW": 1})), "StrideH"),
    "giant dilation": (wrong(op=replace(CONV, options={**CONV.options, "DilationHFactor": 1 << 30})), "DilationHFactor"),
    "no options": (wrong(op=replace(CONV, table="")), "StrideH"),
    "unknown activation": (wrong(op=replace(CONV, options={**CONV.options, "FusedActivationFunction": 77})), "activation"),
    "unknown operator": (wrong(op=replace(CONV, kind="CONV_3D")), "CONV_3D", "lists what is supported"),
    "loop": (wrong(op=replace(CONV, kind="WHILE", table="", options={})), "WHILE", "control flow", "unroll=True"),
    "branch": (wrong(op=replace(CONV, kind="IF", table="", options={})), "IF", "control flow", "branch"),
    "places of what is not 0": (wrong(op=replace(CONV, kind="WHERE", table="", options={})), "WHERE", "depends on values"),
    "no inputs": (wrong(ends=([], [3])), "no inputs"),
    "constant input": (wrong(ends=([0, 1], [3])), "input"),
    "output not computed": (wrong(ends=([0], [1])), "not computed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_no_file_should_hold_is_one_line(tmp_path: Path, case: str) -> None:
    content, *parts = BAD[case]
    assert_refused(write(tmp_path / "bad.tflite", *content), *parts)


def test_shapes_that_grow_are_not_computed(tmp_path: Path) -> None:
    """Each operator joins the one before with itself: 2^60 integers, if somebody computed them."""
    tensors = [
        *TENSORS,
        constant([1], "int32"),
        *(FileTensor((1 << (i + 1) if i < 20 else 1,), "int32") for i in range(60)),
    ]
    doubled = [Op("CONCATENATION", (4 + i, 4 + i), (5 + i,), "ConcatenationOptions") for i in range(60)]
    assert len(load(write(tmp_path / "grows.tflite", tensors, [*doubled, CONV], [0], [3])).nodes) == 2
