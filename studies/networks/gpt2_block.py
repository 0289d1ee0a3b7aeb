"""One block of GPT-2 small (Radford et al., 2019) that makes a token from a KV cache."""

from __future__ import annotations

import onnx
import torch
from export import export
from torch import nn

HIDDEN, HEADS, SIZE = 768, 12, 64


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.qkv, self.out = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.inner, self.outer = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(
        self, x: torch.Tensor, past_key: torch.Tensor, past_value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        batch, length, _ = x.shape

        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.view(batch, length, HEADS, SIZE).transpose(1, 2)

        query, key, value = (heads(part) for part in self.qkv(self.first(x)).split(HIDDEN, -1))
        key = torch.cat([past_key, key], 2)
        value = torch.cat([past_value, value], 2)
        scores = torch.softmax(query @ key.transpose(-1, -2) / SIZE**0.5, -1)
        context = (scores @ value).transpose(1, 2).reshape(batch, length, HIDDEN)
        x = x + self.out(context)
        inner = nn.functional.gelu(self.inner(self.second(x)), approximate="tanh")
        return x + self.outer(inner), key, value


def make() -> onnx.ModelProto:
    cache = torch.zeros(2, HEADS, 16, SIZE)
    inputs = (torch.zeros(2, 1, HIDDEN), cache, cache.clone())
    names = ["x", "past_key", "past_value"]
    axes = {0: "batch", 2: "past"}
    dynamic = {"x": {0: "batch"}, "past_key": axes, "past_value": axes}
    return export(Block(), inputs, names, dynamic)
