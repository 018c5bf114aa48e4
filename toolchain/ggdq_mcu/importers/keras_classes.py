"""Is a layer's class one that can be read? Keras' own, custom classes, and what is refused for a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.keras_known import keras_layers, keras_operations
from ggdq_mcu.importers.problems import SEE_LIST

CUSTOM = (
    "its code is not in the file, and would not be run: build the network of Keras' own layers, or convert the model "
    "to ONNX or TFLite, which write such a layer out in operators"
)
_CODE = (
    "the code of a model file is never run; replace it by layers or keras.ops, or convert the model to ONNX or TFLite"
)
_VOLUMES = "kernels for volumes are not supported; use the layer for images, with frames or slices as channels"
_SPECTRA = "compute the spectrum before the network"
_DATA = "it prepares data: apply it before the network"

#: Classes of Keras that are refused for a reason, with what to do instead.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("Lambda", "FlaxLayer", "JaxLayer", "TorchModuleWrapper", "TFSMLayer"), _CODE),
    **dict.fromkeys(
        (
            *(f"{kind}3D" for kind in ("AdaptiveAveragePooling", "AdaptiveMaxPooling", "AveragePooling", "Conv")),
            *(f"{kind}3D" for kind in ("ConvLSTM", "Cropping", "GlobalAveragePooling", "GlobalMaxPooling")),
            *(f"{kind}3D" for kind in ("MaxPooling", "UpSampling", "ZeroPadding")),
            "Conv3DTranspose",
        ),
        _VOLUMES,
    ),
    **dict.fromkeys(("MelSpectrogram", "STFTSpectrogram", "STFT", "RFFT", "FFT", "FFT2", "IRFFT", "ISTFT"), _SPECTRA),
    **dict.fromkeys(
        (
            *("AutoContrast", "CategoryEncoding", "ContrastLimitedAdaptiveHistogramEqualization", "Discretization"),
            *("Equalization", "HashedCrossing", "Hashing", "IntegerLookup", "Solarization", "StringLookup"),
            "TextVectorization",
        ),
        _DATA,
    ),
    "Masking": "leave it out, and give the network sequences of full length",
    "ReversibleEmbedding": "use Embedding and Dense",
    "Sparsemax": "use Softmax",
}


def class_of(entry: Mapping[str, Any], name: str, operation: bool) -> str:
    """The class of a layer, or of an operation of keras.ops, if it is one of Keras' own that is supported."""
    class_name, where = str(entry.get("class_name")), f"layer {name!r}"
    known = keras_operations() if operation else keras_layers()
    if is_custom(entry):
        raise custom(class_name, where)
    if class_name not in known:
        if class_name in REFUSED:
            raise GgdqError(f"{class_name} layers are not supported", where, REFUSED[class_name])
        if "module" not in entry and not operation:  # HDF5 files do not tell Keras' classes from others
            what = f"{class_name[:60]!r} is a custom class, or a layer of Keras that is not supported"
            raise GgdqError(what, where, CUSTOM)
        raise GgdqError(f"{class_name[:60]} layers are not supported", where, SEE_LIST)
    if not isinstance(entry.get("config"), Mapping):
        raise GgdqError("has no configuration", where)
    return class_name


def is_custom(entry: Mapping[str, Any]) -> bool:
    """Does the file say that the class is none of Keras' own?"""
    module, registered = entry.get("module", "keras.layers"), str(entry.get("registered_name"))
    own = isinstance(module, str) and re.match(r"(tf_)?keras(\.|$)|tensorflow\.(python\.)?keras(\.|$)", module)
    return not own or ">" in registered + str(entry.get("class_name"))


def custom(class_name: str, where: str) -> GgdqError:
    """The error about a class that is none of Keras' own."""
    return GgdqError(f"{class_name[:60]!r} is a custom class, which is not supported", where, CUSTOM)
