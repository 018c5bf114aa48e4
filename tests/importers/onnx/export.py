"""Makes the networks of this folder with PyTorch 2.13: `pip install torch==2.13.0 onnx onnxscript`, then run this here.

Random weights; BatchNormalization has the statistics of random images. What PyTorch writes about its own sources is
left out of the files.
"""

from __future__ import annotations

import io
from pathlib import Path

import onnx
import torch
from torch import nn

FOLDER = Path(__file__).resolve().parent


def block(channels: int, filters: int, size: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None):
    """Convolution, BatchNormalization, activation."""
    convolution = nn.Conv2d(channels, filters, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), *([act] if act else []))


class Separable(nn.Module):
    """Depthwise separable convolutions, as in MobileNet."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            block(3, 8, 3, 2, act=nn.ReLU6()),
            block(8, 8, 3, 1, 8, nn.ReLU6()),
            block(8, 12, 1, act=nn.ReLU6()),
            block(12, 12, 3, 2, 12, nn.ReLU6()),
            block(12, 16, 1, act=nn.ReLU6()),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 5), nn.Softmax(dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


class Residual(nn.Module):
    """A residual block, and a dense layer on the flattened image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = block(1, 6, 3, act=nn.ReLU())
        self.inner = nn.Sequential(block(6, 8, 3, 2, act=nn.ReLU()), block(8, 8, 3))
        self.shortcut = block(6, 8, 1, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.dense = nn.Linear(8 * 3 * 3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = self.pool(torch.relu(self.inner(x) + self.shortcut(x)))
        return self.dense(x.view(x.size(0), -1))


class Excitation(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, 4, 1)
        self.expand = nn.Conv2d(4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * nn.functional.hardsigmoid(self.expand(torch.relu(self.reduce(self.pool(x)))))


class Inverted(nn.Module):
    """An inverted residual with hard swish and squeeze-and-excitation, as in MobileNetV3; SiLU and GELU too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = block(3, 8, 3, 2, act=nn.Hardswish())
        self.inner = nn.Sequential(
            block(8, 16, 1, act=nn.Hardswish()), block(16, 16, 5, 1, 16, nn.SiLU()), Excitation(16), block(16, 8, 1)
        )
        self.head = nn.Sequential(block(8, 12, 1, act=nn.GELU()), nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 5, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return torch.flatten(self.head(x + self.inner(x)), 1)


def export(name: str, model: nn.Module, shape: tuple[int, ...], legacy: bool) -> None:
    """One network, by the exporter of today or, ``legacy``, by TorchScript's with a batch of any size."""
    x = torch.randn(64, *shape)
    with torch.no_grad():
        for _ in range(20):
            model.train()(x)
    content = io.BytesIO()
    options = {"dynamo": not legacy, "input_names": ["image"], "output_names": ["scores"]}
    if legacy:
        options |= {"opset_version": 13, "dynamic_axes": {"image": {0: "batch"}, "scores": {0: "batch"}}}
        torch.onnx.export(model.eval(), (x[:1],), content, **options)
        made = onnx.load_from_string(content.getvalue())
    else:
        made = torch.onnx.export(model.eval(), (x[:1],), **options).model_proto
    for part in [
        made.graph,
        *made.graph.node,
        *made.graph.input,
        *made.graph.output,
        *made.graph.value_info,
        *made.graph.initializer,
    ]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    made.ClearField("metadata_props")
    made.graph.ClearField("value_info")
    onnx.save_model(made, FOLDER / f"{name}.onnx")


if __name__ == "__main__":
    torch.manual_seed(1)
    export("separable", Separable(), (3, 16, 16), legacy=False)
    export("residual", Residual(), (1, 12, 12), legacy=True)
    export("inverted", Inverted(), (3, 12, 12), legacy=False)
    export("inverted_opset13", Inverted(), (3, 12, 12), legacy=True)
