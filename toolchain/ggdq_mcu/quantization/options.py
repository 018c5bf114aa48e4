"""What may a user choose about quantization? Every improvement is a switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ggdq_mcu.graph import Format
from ggdq_mcu.quantization.schemes import DEFAULT


@dataclass(frozen=True)
class Options:
    """The scheme of the steps, bit lengths, given input formats by input name, and what else lowers the error.

    ``bits`` and ``weight_bits``: 2 to 16; ``layer_bits`` and ``layer_weight_bits`` say otherwise for single layers.
    ``per_channel``: a fraction length for each output channel instead of one for the layer.
    ``channel_steps``: a step for each channel of a feature map, folded into the weights on either side.
    ``fit_range``: output steps and fraction lengths chosen together, so that weights fill their range.
    ``adaptive_rounding``: weights rounded for the least error at the layer's output.
    ``compensation``: weights refitted to inputs that are quantized already: a layer makes up for those before it.
    ``bias_correction``: the mean error of each output channel taken out of its bias.
    ``headroom``: steps widened for values that calibration has not seen, and for what clipping weighs at the outputs.
    ``narrowing``: ranges narrowed to what the activations that read a map make use of.
    ``wide_logits``: 16 bits for what only softmax or its logarithm reads: few numbers, whose noise nothing averages out.
    ``prune_dead``: remove channels that are constant on the calibration samples, not only those proved constant.
    """

    scheme: str = DEFAULT
    bits: int = 8
    weight_bits: int = 8
    input_formats: Mapping[str, Format] = field(default_factory=dict)
    layer_bits: Mapping[str, int] = field(default_factory=dict)
    layer_weight_bits: Mapping[str, int] = field(default_factory=dict)
    per_channel: bool = True
    channel_steps: bool = True
    fit_range: bool = True
    adaptive_rounding: bool = True
    compensation: bool = True
    bias_correction: bool = True
    headroom: bool = True
    narrowing: bool = True
    wide_logits: bool = True
    prune_dead: bool = False
