"""SavedModel folders: converted to TensorFlow Lite, after a look at all that this could run."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import randomize, samples

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load, saved_model
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate_without_data


def exported(model: Any, folder: Path) -> Graph:
    """The graph of the model's SavedModel; its outputs equal the model's."""
    randomize(model, 11)
    model.export(folder / "model", verbose=False)
    graph = load(folder / "model")
    inputs = {name: samples(graph.shapes[name]) for name in graph.inputs}
    order = [tensor._keras_history.operation.name for tensor in model.inputs]
    expected = model(
        [inputs[name] for name in order] if len(inputs) > 1 else next(iter(inputs.values())), training=False
    )
    expected = expected if isinstance(expected, list) else [expected]
    found = graph.run(inputs)
    assert len(expected) == len(graph.outputs)
    for want, name in zip(expected, graph.outputs, strict=True):
        np.testing.assert_allclose(found[name], np.asarray(want), rtol=0, atol=1e-5 * np.abs(want).max())
    return graph


def test_layers_of_an_image_network_are_read(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((9, 8, 3), name="image")
    y = layers.Conv2D(4, (3, 2), padding="same", use_bias=False, name="first")(x)
    y = layers.BatchNormalization(name="normal")(y)
    y = layers.ReLU(6.0, name="six")(y)
    y = layers.DepthwiseConv2D(3, padding="same", strides=2, activation="relu", name="deep")(y)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(y)
    y = layers.Add(name="sum")([y, gate])
    y = layers.Conv2D(6, 3, padding="same", groups=2, activation="silu", name="grouped")(y)
    y = layers.ZeroPadding2D(((1, 0), (0, 2)), name="zeros")(y)
    y = layers.MaxPooling2D(2, name="largest")(y)
    y = layers.SeparableConv2D(5, 2, activation="leaky_relu", name="apart")(y)
    y = layers.AveragePooling2D(2, 1, "same", name="mean")(y)
    y = layers.GlobalAveragePooling2D(name="whole")(y)
    y = layers.Reshape((-1, 1), name="column")(y)
    y = layers.Flatten(name="flat")(y)
    y = layers.BatchNormalization(scale=False, name="again")(y)
    y = layers.Dropout(0.3)(y)
    graph = exported(keras.Model(x, layers.Dense(3, activation="softmax", name="classes")(y)), tmp_path)
    assert graph.by_name["image"].inputs == ()
    assert not any(isinstance(node.operator, BatchNormalization) or node.statistics for node in graph.nodes)
    with pytest.raises(GgdqError, match=r"give samples .*, or the \.keras file"):
        calibrate_without_data(optimize(graph))


def test_inputs_outputs_and_shared_layers_are_kept(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    a, b = layers.Input((4, 4, 2), name="a"), layers.Input((3,), name="b")
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    twice = layers.Add()([shared(a), shared(shared(a))])
    graph = exported(keras.Model([a, b], [layers.Dense(2, activation="log_softmax", name="dense")(b), twice]), tmp_path)
    assert graph.inputs == ("a", "b")
    assert [graph.shapes[name] for name in graph.outputs] == [(2,), (4, 4, 2)]


def written(keras: ModuleType, tmp_path: Path, compute: Any) -> Path:
    """A SavedModel whose default signature is a function of four numbers."""
    import tensorflow

    module = tensorflow.Module()
    module.kernel = tensorflow.Variable(np.ones((4, 2), np.float32))
    module.call = tensorflow.function(
        lambda x: compute(tensorflow, x, module), [tensorflow.TensorSpec((1, 4), tensorflow.float32)]
    )
    tensorflow.saved_model.save(module, tmp_path / "model", signatures={"serving_default": module.call})
    return tmp_path / "model" / "saved_model.pb"


@pytest.mark.parametrize("kind", ["ReadFile", "EagerPyFunc", "PrintV2", "WriteFile"])
def test_operations_that_do_more_than_compute_are_refused_before_anything_is_loaded(
    keras: ModuleType, tmp_path: Path, kind: str
) -> None:
    def compute(tensorflow: Any, x: Any, module: Any) -> Any:
        y = tensorflow.matmul(x, module.kernel)
        if kind == "ReadFile":
            return y + tensorflow.cast(tensorflow.strings.length(tensorflow.io.read_file("/etc/hostname")), "float32")
        if kind == "EagerPyFunc":
            return tensorflow.py_function(lambda value: value, [y], tensorflow.float32)
        effect = tensorflow.print(y) if kind == "PrintV2" else tensorflow.io.write_file(str(tmp_path / "made"), "x")
        with tensorflow.control_dependencies([effect]):
            return tensorflow.identity(y)

    file = written(keras, tmp_path, compute)
    with pytest.raises(GgdqError, match=rf"\(({kind}|StringLength)\): is not supported, and no other operation"):
        saved_model.check(saved_model.parsed(file.read_bytes()))
    assert not (tmp_path / "made").exists()


def test_what_loading_would_run_is_looked_at_too(keras: ModuleType, tmp_path: Path) -> None:
    file = written(keras, tmp_path, lambda tensorflow, x, module: tensorflow.matmul(x, module.kernel))
    content = file.read_bytes()
    saved_model.check(saved_model.parsed(content))

    model = saved_model.parsed(content)
    model.saver_def.restore_op_name = model.saver_def.save_tensor_name.split(":")[0]
    with pytest.raises(GgdqError, match="is not supported"):
        saved_model.check(model)
    model = saved_model.parsed(content)
    model.collection_def["saved_model_main_op"].node_list.value.append(model.saver_def.save_tensor_name)
    with pytest.raises(GgdqError, match="is not supported"):
        saved_model.check(model)
    model = saved_model.parsed(content)
    model.object_graph_def.nodes.add().resource.device = "cpu"
    with pytest.raises(GgdqError, match="holds a resource"):
        saved_model.check(model)
    model = saved_model.parsed(content)
    del model.signature_def["serving_default"]
    with pytest.raises(GgdqError, match="has no signature"):
        saved_model.check(model)


def test_folder_that_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"without saved_model.pb"):
        load(tmp_path)


def test_damaged_saved_model_is_refused(keras: ModuleType, tmp_path: Path) -> None:
    file = written(keras, tmp_path, lambda tensorflow, x, module: tensorflow.matmul(x, module.kernel))
    whole = file.read_bytes()
    for length in range(0, len(whole), len(whole) // 20 + 1):
        with pytest.raises(GgdqError):
            saved_model.check(saved_model.parsed(whole[:length]))
    for part in (tmp_path / "model" / "variables").iterdir():
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(GgdqError, match="model: cannot be converted"):
        load(tmp_path / "model")
