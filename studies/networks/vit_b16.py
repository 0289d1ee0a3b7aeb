"""ViT-B/16 (Dosovitskiy et al., ICLR 2021), from its configuration; attention as products."""

from __future__ import annotations

import onnx
import torch
from export import export
from torch import nn

HIDDEN, HEADS, LAYERS, FEED_FORWARD, PATCH, IMAGE = 768, 12, 12, 3072, 16, 224


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, HEADS, HIDDEN // HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.softmax(query @ key.transpose(-1, -2) * (HIDDEN // HEADS) ** -0.5, -1)
        return self.out((scores @ value).transpose(1, 2).reshape(batch, length, HIDDEN))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(HIDDEN, 1e-6), nn.LayerNorm(HIDDEN, 1e-6)
        self.attention = Attention()
        self.feed_forward = nn.Sequential(
            nn.Linear(HIDDEN, FEED_FORWARD), nn.GELU(), nn.Linear(FEED_FORWARD, HIDDEN)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first(x))
        return x + self.feed_forward(self.second(x))


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, HIDDEN, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, HIDDEN))
        self.positions = nn.Parameter(torch.zeros(1, (IMAGE // PATCH) ** 2 + 1, HIDDEN))
        self.layers = nn.Sequential(*(Encoder() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(HIDDEN, 1e-6), nn.Linear(HIDDEN, 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.layers(x))[:, 0])


def make() -> onnx.ModelProto:
    images = torch.zeros(2, 3, IMAGE, IMAGE)
    return export(VisionTransformer(), (images,), ["images"], {"images": {0: "batch"}})
