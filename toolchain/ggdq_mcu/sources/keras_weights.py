"""How are a Keras layer's weights stored where not as plain numbers? bfloat16, and integers with scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ggdq_mcu.sources.keras import KerasLayer

Array = NDArray[Any]
_BY_COLUMN, _BY_ROW = ("Dense", "EinsumDense"), ("Embedding",)


def stored_weights(layer: KerasLayer) -> Sequence[Any]:
    """The layer's stored weights in Keras' order, as its float layer of the same class has them; not yet read."""
    policy = _policy(layer.config.get("dtype"))
    if "bfloat16" in policy["name"]:
        return [_Bfloat16(one) if str(one.dtype) in ("|V2", "bfloat16") else one for one in layer.stored]
    if not policy["mode"]:
        return layer.stored
    if policy["mode"] != "int8" or layer.class_name not in (*_BY_COLUMN, *_BY_ROW):
        what = f"its weights are quantized by Keras ({policy['mode'][:40]}), which is not supported for this layer"
        raise layer.error(what, "save the model before model.quantize(), or quantize it to int8")
    kernels = [one for one in layer.stored if one.dtype == np.int8]
    # Files have the kernel first; live models have it behind the bias. The scale is the last.
    others = [one for one in layer.stored if one.dtype != np.int8]
    if len(kernels) != 1 or len(kernels[0].shape) != 2 or not others:
        raise layer.error("its weights are not one int8 matrix, a bias and a scale", "save the model before quantize()")
    return [_Scaled(kernels[0], others[-1], layer.class_name in _BY_ROW), *others[:-1]]


def _policy(value: Any) -> Mapping[str, str]:
    """Name and mode of quantization of a layer's "dtype", which is a text or a DTypePolicy."""
    config = value.get("config") if isinstance(value, Mapping) else {"name": value}
    config = config if isinstance(config, Mapping) else {}
    return {key: str(config.get(key) or "") for key in ("name", "mode")}


class _Bfloat16:
    """Weights that are stored as the upper halves of float32 numbers."""

    def __init__(self, stored: Any) -> None:
        self._stored, self.shape, self.dtype = stored, stored.shape, np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Array:
        raw = np.ascontiguousarray(self._stored[()]).view(np.uint16).reshape(self.shape)
        return np.asarray((raw.astype(np.uint32) << 16).view(np.float32))


class _Scaled:
    """An int8 matrix over a scale for each column, or each row: Keras divides by it."""

    def __init__(self, stored: Any, scale: Any, by_row: bool) -> None:
        self._stored, self._scale, self._axis = stored, scale, 0 if by_row else 1
        self.shape, self.dtype = stored.shape, np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Array:
        scale = np.asarray(self._scale[()], np.float32).ravel()
        count = self.shape[self._axis]
        if scale.size != count:
            return np.full(self.shape, np.nan, np.float32)  # refused as not finite
        with np.errstate(divide="ignore", invalid="ignore"):
            shaped = scale[:, None] if self._axis == 0 else scale
            return np.asarray(np.asarray(self._stored[()], np.float32) / shaped)
