"""MobileNetV2 (Sandler et al., CVPR 2018), from its configuration."""

from __future__ import annotations

import onnx
import torch
from export import export
from torch import nn

# Expansion, channels, blocks, stride of the first.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution(inside: int, outside: int, size: int, stride: int, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU6(),
    )


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inside * expansion
        expand = [convolution(inside, hidden, 1, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand,
            convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.adds = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def model() -> nn.Module:
    layers, inside = [convolution(3, 32, 3, 2)], 32
    for expansion, outside, blocks, stride in STAGES:
        for i in range(blocks):
            layers.append(Block(inside, outside, stride if i == 0 else 1, expansion))
            inside = outside
    layers += [convolution(320, 1280, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(1280, 1000))


def make() -> onnx.ModelProto:
    # Kept as torch wrote it: the optimizer would fold batch normalizations away.
    return export(model(), (torch.zeros(1, 3, 224, 224),), ["images"], optimize=False)
