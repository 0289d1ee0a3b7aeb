"""BERT-base (Devlin et al., NAACL 2019), batch and length dynamic."""

from __future__ import annotations

import onnx
import torch
from bert_layer import HIDDEN, EncoderLayer
from export import export
from torch import nn

LAYERS, VOCABULARY, LONGEST, SEGMENTS = 12, 30522, 512, 2


class BertBase(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, HIDDEN)
        self.places = nn.Embedding(LONGEST, HIDDEN)
        self.segments = nn.Embedding(SEGMENTS, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, 1e-12)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(LAYERS))
        self.pooler = nn.Linear(HIDDEN, HIDDEN)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, segments: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        places = self.places(torch.arange(ids.shape[1]))
        x = self.norm(self.words(ids) + places + self.segments(segments))
        for layer in self.layers:
            x = layer(x, mask)
        return x, torch.tanh(self.pooler(x[:, 0]))


def make() -> onnx.ModelProto:
    axes = {0: "batch", 1: "seq"}
    names = ["ids", "mask", "segments"]
    ids = torch.zeros(2, 16, dtype=torch.int64)
    inputs = (ids, torch.ones(2, 16), ids.clone())
    return export(BertBase(), inputs, names, {name: axes for name in names})
