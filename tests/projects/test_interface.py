"""The C interface of a network, read from its header, and arrays as runs of bytes."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import parse_header, read_interface

PAIR = parse_header("pair", str(networks.pair()["lib/ggdq_pair/src/ggdq_pair.h"]))


def test_ports_are_read_with_types_and_aligned_places() -> None:
    assert [(p.name, p.elements, p.dtype, p.offset) for p in PAIR.inputs] == [
        ("input_0", 5, "int8", 0),
        ("input_1", 3, "int16", 8),
    ]
    assert [(p.name, p.elements, p.dtype, p.offset) for p in PAIR.outputs] == [
        ("output_0", 3, "int16", 0),
        ("output_1", 5, "uint8", 8),
    ]
    assert (PAIR.input_bytes, PAIR.output_bytes, PAIR.output_elements) == (16, 16, 8)


def test_inputs_are_packed_little_endian_with_zeros_between() -> None:
    run = PAIR.pack_inputs((np.array([1, -1, 2, -2, 3], np.int8), np.array([[1, -2, 300]], np.int16)))
    assert run == bytes([1, 255, 2, 254, 3, 0, 0, 0, 1, 0, 254, 255, 44, 1, 0, 0])


def test_outputs_come_back_as_they_were_packed() -> None:
    outputs = (np.array([-5, 6, 700], np.int16), np.array([0, 255, 7, 8, 9], np.uint8))
    back = PAIR.unpack_outputs(PAIR.pack_outputs(outputs))
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(outputs, back, strict=True))


@pytest.mark.parametrize(
    "arrays",
    [
        (np.zeros(5, np.int8),),
        (np.zeros(4, np.int8), np.zeros(3, np.int16)),
        (np.zeros(5, np.uint8), np.zeros(3, np.int16)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(GgdqError):
        PAIR.pack_inputs(arrays)


def test_a_header_without_a_macro_is_refused() -> None:
    with pytest.raises(GgdqError, match=r"ggdq_pair.h: .*INPUTS"):
        parse_header("pair", "#define GGDQ_PAIR_OUTPUTS 1\n")


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="not a project"):
        read_interface(tmp_path)
