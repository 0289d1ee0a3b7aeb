"""One encoder layer of BERT-base (Devlin et al., NAACL 2019), batch and length dynamic."""

from __future__ import annotations

import onnx
import torch
from export import export
from torch import nn

HIDDEN, HEADS, FEED_FORWARD = 768, 12, 3072


class EncoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.inner, self.outer = nn.Linear(HIDDEN, FEED_FORWARD), nn.Linear(FEED_FORWARD, HIDDEN)
        self.first, self.second = nn.LayerNorm(HIDDEN, 1e-12), nn.LayerNorm(HIDDEN, 1e-12)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape

        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.view(batch, length, HEADS, HIDDEN // HEADS).transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        scores = query @ key.transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5
        scores = scores + (1.0 - mask[:, None, None, :]) * -10000.0
        context = torch.softmax(scores, -1) @ value
        context = context.transpose(1, 2).reshape(batch, length, HIDDEN)
        x = self.first(x + self.out(context))
        return self.second(x + self.outer(nn.functional.gelu(self.inner(x))))


def make() -> onnx.ModelProto:
    axes = {0: "batch", 1: "seq"}
    inputs = (torch.zeros(2, 16, HIDDEN), torch.ones(2, 16))
    return export(EncoderLayer(), inputs, ["x", "mask"], {"x": axes, "mask": axes})
