"""Features of recordings: one definition for training, and for the device, where they are operators of the network.

>>> import numpy as np
>>> MicroFrontend()(np.zeros((2, 16000), np.int16)).shape
(2, 98, 40)
"""

from __future__ import annotations

from ggdq_mcu.frontend.attach import attach, attach_kept
from ggdq_mcu.frontend.features import Features
from ggdq_mcu.frontend.micro import MicroFrontend
from ggdq_mcu.frontend.recipe import parse
from ggdq_mcu.frontend.spectrum import MFCC, LogMel

__all__ = ["MFCC", "Features", "LogMel", "MicroFrontend", "attach", "attach_kept", "parse"]
