"""Which operators of TFLite files are refused for good, why, and what to do instead?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.problems import SEE_LIST
from ggdq_mcu.sources.tflite import TFLiteOperator


class Refusal(NamedTuple):
    """Why an operator is refused, and what to do."""

    what: str
    fix: str


_FLOW = "control flow is not supported"
_SIZES = "the size of its output depends on values, which is not supported"
_BOXES = "decides which boxes stay, which is not supported"
_TEXT = "tables and texts are not supported"
REFUSED: Mapping[str, Refusal] = {
    "CALL": Refusal(_FLOW, "convert the network with its functions inlined"),
    "IF": Refusal(_FLOW, "convert the branch that is taken alone"),
    "WHILE": Refusal(_FLOW, "convert the network with its loop unrolled, as Keras' recurrent layers with unroll=True"),
    "CUSTOM ethos-u": Refusal("is compiled for an Ethos-U by Vela", "give the .tflite file that Vela was given"),
    "CUSTOM TFLite_Detection_PostProcess": Refusal(_BOXES, "end the network before it, and choose boxes in C"),
    "NON_MAX_SUPPRESSION_V4": Refusal(_BOXES, "end the network before it, and choose boxes in C"),
    "NON_MAX_SUPPRESSION_V5": Refusal(_BOXES, "end the network before it, and choose boxes in C"),
    "UNIQUE": Refusal(_SIZES, "end the network before it"),
    "WHERE": Refusal(_SIZES, "end the network before it"),
    "HASHTABLE": Refusal(_TEXT, "give the network numbers"),
    "HASHTABLE_FIND": Refusal(_TEXT, "give the network numbers"),
    "HASHTABLE_LOOKUP": Refusal(_TEXT, "give the network numbers"),
}


def refusal(op: TFLiteOperator) -> GgdqError:
    """The error for an operator that nothing is known to do with."""
    what, fix = REFUSED.get(op.kind, Refusal("this operator is not supported", SEE_LIST))
    return op.error(what, fix)
