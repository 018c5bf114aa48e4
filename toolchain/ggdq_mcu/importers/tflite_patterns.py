"""Which operators of a TFLite file mean one operator together? They are put into its place before the network is read.

* SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND: a convolution with dilation, its image padded before and cropped
  after. RESHAPE, EXPAND_DIMS and SQUEEZE may stand beside the convolution, as around one of a sequence.
* DEQUANTIZE, a function of one value and QUANTIZE: the function of integers, if their arithmetic is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ggdq_mcu.importers.tflite_file import FileOperator, TFLiteFile
from ggdq_mcu.importers.tflite_variables import with_integer_variables
from ggdq_mcu.operators.tflite_activation import FUNCTIONS_KEPT, FUNCTIONS_OF_REAL, THROUGH_REAL
from ggdq_mcu.sources.tflite import VALID, Tensor

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_SHAPING = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_POINTWISE = ("RELU", "RELU6", "ADD")


def with_dilation(file: TFLiteFile) -> TFLiteFile:
    """The file with convolutions of spaces in the batch as ones with dilation."""
    return _replaced(file, _dilated)


def with_functions(file: TFLiteFile) -> TFLiteFile:
    """The file with functions of integers where real numbers are only between DEQUANTIZE and QUANTIZE."""
    return _replaced(with_integer_variables(file), _function)


class _File:
    """A file whose operators are replaced: who makes and reads each tensor, and tensors that are added."""

    def __init__(self, file: TFLiteFile) -> None:
        self.file, self.tensors = file, list(file.tensors)
        self.readers: dict[int, list[FileOperator]] = {}
        for one in file.operators:
            for index in one.inputs:
                self.readers.setdefault(index, []).append(one)

    def only_reader(self, one: FileOperator) -> FileOperator | None:
        """The operator that alone reads the output of ``one``."""
        readers = self.readers.get(one.outputs[0], []) if len(one.outputs) == 1 else []
        return readers[0] if len(readers) == 1 and one.outputs[0] not in self.file.outputs else None

    def new(self, like: Tensor, shape: tuple[int, ...], values: Any = None) -> int:
        """A tensor that the file does not have."""
        stored = None if values is None else np.asarray(values, np.int32)
        dtype = like.dtype if stored is None else stored.dtype
        made = replace(like, shape=shape, stored=stored, dtype=dtype, fixed=True)
        self.tensors.append(
            made if stored is None else replace(made, scales=np.zeros(0), zero_points=np.zeros(0, np.int64))
        )
        return len(self.tensors) - 1


def _replaced(
    file: TFLiteFile, match: Callable[[_File, FileOperator], tuple[list[Any], list[Any]] | None]
) -> TFLiteFile:
    """The file with what ``match`` finds at an operator, operators and what is in their place, replaced."""
    known = _File(file)
    gone: set[int] = set()
    result: list[FileOperator] = []
    for one in file.operators:
        if id(one) in gone:
            continue
        found = match(known, one)
        if found is None:
            result.append(one)
            continue
        gone |= {id(other) for other in found[0]}
        result += found[1]
    return replace(file, operators=tuple(result), tensors=tuple(known.tensors))


def _function(known: _File, first: FileOperator) -> tuple[list[Any], list[Any]] | None:
    """DEQUANTIZE, one function (beside CAST back to real numbers), and QUANTIZE."""
    if first.kind != "DEQUANTIZE" or not known.tensors[first.inputs[0]].quantized:
        return None
    chain = [first]
    while chain[-1].kind != "QUANTIZE":
        following = known.only_reader(chain[-1])
        if following is None or following.kind not in (*FUNCTIONS_KEPT, *FUNCTIONS_OF_REAL, "QUANTIZE"):
            return None
        if len(following.inputs) != 1 or len(following.outputs) != 1:
            return None
        chain.append(following)
    functions = [one for one in chain[1:-1] if one.kind != "CAST" or known.tensors[one.outputs[0]].dtype.kind != "f"]
    if len(functions) != 1 or (
        functions[0].kind == "CAST" and known.tensors[functions[0].outputs[0]].dtype != np.int32
    ):
        return None
    options = _options(functions[0], {THROUGH_REAL: True})
    return chain, [FileOperator(functions[0].kind, first.inputs, chain[-1].outputs, options)]


def _options(one: FileOperator, own: Mapping[str, Any]) -> Callable[[str], Any]:
    return lambda key: own[key] if key in own else one.options(key)


def _dilated(known: _File, first: FileOperator) -> tuple[list[Any], list[Any]] | None:
    """PAD, what stands between, the convolution with dilation, what stands behind, and STRIDED_SLICE."""
    chain = _chain(known, first) if first.kind == "SPACE_TO_BATCH_ND" else None
    constants = [] if chain is None else [known.tensors[i].stored for i in (*first.inputs[1:3], *chain[-1].inputs[1:3])]
    if chain is None or len(constants) != 4 or any(one is None for one in constants):
        return None
    block, pads, last_block, crops = (np.atleast_1d(one).astype(int) for one in constants if one is not None)
    conv = next(one for one in chain if one.kind in _CONVOLUTIONS)
    source = known.tensors[first.inputs[0]]
    rank = len(source.shape)
    if (
        not np.array_equal(block, last_block)
        or not 1 <= block.size <= min(2, rank - 2)
        or pads.shape != (block.size, 2)
    ):
        return None
    strides = [conv.options(key) for key in ("StrideH", "StrideW")]
    own = [conv.options(key) for key in ("DilationHFactor", "DilationWFactor")]
    if strides != [1, 1] or any(one not in (1, None) for one in own) or conv.options("Padding") != VALID:
        return None
    width = [(0, 0), *map(tuple, pads.tolist()), *[(0, 0)] * (rank - 1 - block.size)]
    padded = (1, *(size + sum(pair) for size, pair in zip(source.shape[1:], width[1:], strict=True)))
    shape, current = padded, known.new(source, padded)
    made = [FileOperator("PAD", (first.inputs[0], known.new(source, (rank, 2), width)), (current,), lambda _: None)]
    place = _places(chain, block.size, rank, known)
    for one in chain[1:-1]:
        kind, rest, options = one.kind, one.inputs[1:], one.options
        if kind in _SHAPING:
            shape = _shaped(shape, place)
            kind, rest, options = "RESHAPE", (known.new(source, (len(shape),), shape),), _options(one, {})
        elif kind in _CONVOLUTIONS:
            filters = known.tensors[one.inputs[1]]
            options = _options(one, dict(zip(("DilationHFactor", "DilationWFactor"), place, strict=True)))
            image = [
                size - (taps - 1) * by for size, taps, by in zip(shape[1:3], filters.shape[1:3], place, strict=True)
            ]
            shape = (1, *image, filters.shape[0] if kind == "CONV_2D" else filters.shape[3])
        following = known.new(known.tensors[one.outputs[0]], shape)
        made.append(FileOperator(kind, (current, *rest), (following,), options))
        current = following
    ends = [(0, size) for size in shape]
    for axis, (before, after) in enumerate(crops.reshape(-1, 2).tolist(), 1):
        ends[axis] = (before, shape[axis] - after)
    limits = [known.new(source, (len(ends),), [pair[side] for pair in ends]) for side in (0, 1)]
    steps = known.new(source, (len(ends),), [1] * len(ends))
    output = chain[-1].outputs[0]
    known.tensors[output] = replace(known.tensors[output], shape=tuple(last - start for start, last in ends))
    made.append(FileOperator("STRIDED_SLICE", (current, *limits, steps), (output,), lambda _: None))
    return chain, made


def _chain(known: _File, first: FileOperator) -> list[FileOperator] | None:
    """The operators from SPACE_TO_BATCH_ND to BATCH_TO_SPACE_ND, with one convolution among them."""
    chain = [first]
    while chain[-1].kind != "BATCH_TO_SPACE_ND":
        following = known.only_reader(chain[-1])
        allowed = (*_SHAPING, *_CONVOLUTIONS, *_POINTWISE, "BATCH_TO_SPACE_ND")
        if following is None or following.kind not in allowed or following.inputs[0] != chain[-1].outputs[0]:
            return None
        chain.append(following)
    return chain if sum(one.kind in _CONVOLUTIONS for one in chain) == 1 else None


def _places(chain: list[FileOperator], blocks: int, rank: int, known: _File) -> tuple[int, int]:
    """The dilation of height and width: a sequence may be the height or the width of the convolution's image."""
    stored = known.tensors[chain[0].inputs[1]].stored
    assert stored is not None
    block = stored.ravel().tolist()
    if rank == 4:
        return (block[0], block[1] if blocks > 1 else 1)
    conv = next(one for one in chain if one.kind in _CONVOLUTIONS)
    high = known.tensors[conv.inputs[1]].shape[1] > 1
    return (block[0], 1) if high else (1, block[0])


def _shaped(shape: tuple[int, ...], place: tuple[int, int]) -> tuple[int, ...]:
    """The shape of a sequence as an image, and back."""
    if len(shape) == 3:
        return (1, shape[1], 1, shape[2]) if place[0] > 1 else (1, 1, shape[1], shape[2])
    return (1, max(shape[1:3]), shape[3])
