"""Networks kept in files, also by versions that knew fewer parameters."""

from __future__ import annotations

import io
import json
import zipfile

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.input import Input
from ggdq_mcu.storage import load_float, save_float


def test_parameter_that_the_file_lacks_has_its_default() -> None:
    nodes = Node("x", Input((3,))), Node("y", Activation("leaky_relu", 0.25), ("x",))
    graph, file, old = Graph("net", nodes, ("y",)), io.BytesIO(), io.BytesIO()
    save_float(graph, file)
    content = json.loads(zipfile.ZipFile(file).read("graph.json"))
    assert content["nodes"][1]["operator"].pop("slope") == 0
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("graph.json", json.dumps(content))
    assert load_float(old) == graph
