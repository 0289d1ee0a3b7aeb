"""Small networks of the kinds that are deployed, from which files in tests/data were exported.

    python tests/workload/torch_networks.py FOLDER

writes them as torch's older exporter does, with weights; ``studies/networks/optimised.py`` makes
of them what ONNX Runtime saves (``--level all``), and what it is made from (``--level none``).
"""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(functional.silu(self.reduce(functional.adaptive_avg_pool2d(x, 1))))
        return x * torch.sigmoid(gate)


class InvertedBottleneck(nn.Module):
    def __init__(self, inner: int, outer: int, factor: int, stride: int, size: int = 3) -> None:
        super().__init__()
        wide = inner * factor
        steps: list[nn.Module] = []
        if factor > 1:
            steps = [nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU()]
        taps = nn.Conv2d(wide, wide, size, stride, size // 2, groups=wide, bias=False)
        steps += [taps, nn.BatchNorm2d(wide), nn.SiLU(), SqueezeExcite(wide, max(1, inner // 4))]
        steps += [nn.Conv2d(wide, outer, 1, bias=False), nn.BatchNorm2d(outer)]
        self.steps = nn.Sequential(*steps)
        self.skips = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.steps(x) if self.skips else self.steps(x)


def efficientnet() -> nn.Module:
    stem = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU()]
    blocks = [(32, 16, 1, 1), (16, 24, 6, 2), (24, 24, 6, 1), (24, 40, 6, 2, 5), (40, 40, 6, 1, 5)]
    head = [nn.Conv2d(40, 160, 1, bias=False), nn.BatchNorm2d(160), nn.SiLU()]
    body = [*stem, *(InvertedBottleneck(*block) for block in blocks), *head]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 100))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, context: int = 0, *, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(context or width, width, bias=bias)
        self.value = nn.Linear(context or width, width, bias=bias)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
                ) -> Tensor:  # fmt: skip
        source = x if context is None else context
        batch, length, width = x.shape
        size = width // self.heads
        q, k, v = (
            layer(of).view(batch, of.shape[1], self.heads, size).transpose(1, 2)
            for layer, of in ((self.query, x), (self.key, source), (self.value, source))
        )
        scores = q @ k.transpose(-1, -2) * size**-0.5
        scores = scores if mask is None else scores + mask
        mixed = torch.softmax(scores, -1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class ResidualBlock(nn.Module):
    def __init__(self, inner: int, outer: int, time: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(8, inner), nn.GroupNorm(8, outer)])
        self.first, self.second = (
            nn.Conv2d(inner, outer, 3, 1, 1),
            nn.Conv2d(outer, outer, 3, 1, 1),
        )
        self.time = nn.Linear(time, outer)
        self.skip = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = (
            self.first(functional.silu(self.norms[0](x)))
            + self.time(functional.silu(time))[:, :, None, None]
        )
        return self.second(functional.silu(self.norms[1](y))) + self.skip(x)


class SpatialTransformer(nn.Module):
    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm, self.enter = nn.GroupNorm(8, width), nn.Conv2d(width, width, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, 4), Attention(width, 4, context)
        self.gated, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        batch, width, height, length = x.shape
        y = self.enter(self.norm(x)).permute(0, 2, 3, 1).reshape(batch, height * length, width)
        y = y + self.own(self.norms[0](y))
        y = y + self.cross(self.norms[1](y), context)
        data, gate = self.gated(self.norms[2](y)).chunk(2, -1)
        y = y + self.narrow(data * functional.gelu(gate))
        return x + self.leave(y.reshape(batch, height, length, width).permute(0, 3, 1, 2))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Linear(32, 64)
        self.enter, self.leave = nn.Conv2d(4, 32, 3, 1, 1), nn.Conv2d(32, 4, 3, 1, 1)
        self.down, self.up = nn.Conv2d(32, 64, 3, 2, 1), nn.Conv2d(64, 32, 3, 1, 1)
        self.blocks = nn.ModuleList(ResidualBlock(*s, 64) for s in ((32, 32), (64, 64), (64, 32)))
        self.mixers = nn.ModuleList(SpatialTransformer(width, 48) for width in (32, 64))

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        time = self.time(time)
        high = self.mixers[0](self.blocks[0](self.enter(x), time), context)
        low = self.mixers[1](self.blocks[1](self.down(high), time), context)
        low = self.up(functional.interpolate(low, scale_factor=2.0, mode="nearest"))
        return self.leave(functional.silu(self.blocks[2](torch.cat([high, low], 1), time)))


class WindowBlock(nn.Module):
    def __init__(self, width: int, heads: int, shift: int, size: int, window: int = 7) -> None:
        super().__init__()
        self.heads, self.shift, self.size, self.window = heads, shift, size, window
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.bias = nn.Parameter(torch.rand(1, heads, window**2, window**2))
        self.register_buffer("mask", torch.rand((size // window) ** 2, 1, window**2, window**2))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        size, window, parts = self.size, self.window, self.size // self.window
        y = self.norms[0](x).view(batch, size, size, width)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = y.view(batch, parts, window, parts, window, width).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(-1, window**2, width)
        sizes = (-1, window**2, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(y).reshape(*sizes).permute(2, 0, 3, 1, 4)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2) + self.bias
        scores = scores + self.mask if self.shift else scores
        y = self.out((torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(*y.shape))
        y = y.view(batch, parts, parts, window, window, width).permute(0, 1, 3, 2, 4, 5)
        y = y.reshape(batch, size, size, width)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y.reshape(batch, length, width)
        return x + self.mlp(self.norms[1](x))


class PatchMerging(nn.Module):
    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.size, self.norm = size, nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, width = x.shape
        x = x.view(batch, self.size, self.size, width)
        corners = [x[:, i::2, j::2] for j in range(2) for i in range(2)]
        return self.reduce(self.norm(torch.cat(corners, -1).view(batch, -1, 4 * width)))


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.first = nn.Conv2d(3, 96, 4, 4), nn.LayerNorm(96)
        wide = [WindowBlock(192, 6, shift, 14) for shift in (0, 3)]
        narrow = [WindowBlock(96, 3, shift, 28) for shift in (0, 3)]
        self.blocks = nn.Sequential(*narrow, PatchMerging(96, 28), *wide)
        self.last, self.head = nn.LayerNorm(192), nn.Linear(192, 100)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.patches(x).flatten(2).transpose(1, 2))
        return self.head(self.last(self.blocks(x)).mean(1))


class ClipBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width, heads, bias=True)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norms[0](x), mask=mask)
        y = self.wide(self.norms[1](x))
        return x + self.narrow(y * torch.sigmoid(1.702 * y))


class Clip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 128, 16, 16, bias=False)
        self.token, self.places = nn.Parameter(torch.rand(1, 1, 128)), nn.Parameter(
            torch.rand(1, 17, 128))  # fmt: skip
        self.before, self.after = nn.LayerNorm(128), nn.LayerNorm(128)
        self.seeing = nn.Sequential(ClipBlock(128, 4), ClipBlock(128, 4))
        self.image = nn.Linear(128, 64, bias=False)
        self.words, self.order = nn.Embedding(1000, 64), nn.Parameter(torch.rand(1, 16, 64))
        self.reading = nn.ModuleList(ClipBlock(64, 4) for _ in range(2))
        self.final, self.text = nn.LayerNorm(64), nn.Linear(64, 64, bias=False)
        self.register_buffer("mask", torch.triu(torch.full((16, 16), -1e9), 1))
        self.scale = nn.Parameter(torch.tensor(2.6))

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        v = self.patches(image).flatten(2).transpose(1, 2)
        v = torch.cat([self.token.expand(v.shape[0], -1, -1), v], 1) + self.places
        v = self.image(self.after(self.seeing(self.before(v))[:, 0]))
        t = self.words(ids) + self.order
        for block in self.reading:
            t = block(t, self.mask)
        t = self.text(self.final(t)[:, -1])
        v, t = (x / x.norm(dim=-1, keepdim=True) for x in (v, t))
        return self.scale.exp() * v @ t.t()


class RootMeanSquare(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cosine + torch.cat([-x[..., half:], x[..., :half]], -1) * sine


class LlamaBlock(nn.Module):
    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, size = heads, kv_heads, width // heads
        self.norms = nn.ModuleList(RootMeanSquare(width) for _ in range(2))
        rows = (width, kv_heads * size, kv_heads * size, width, 3 * width, 3 * width)
        self.q, self.k, self.v, self.o, self.gate, self.up = (
            nn.Linear(width, n, bias=False) for n in rows
        )
        self.down = nn.Linear(3 * width, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        size, shared = width // self.heads, self.heads // self.kv_heads
        y = self.norms[0](x)
        q = self.q(y).view(batch, length, self.heads, size).transpose(1, 2)
        k, v = (
            layer(y).view(batch, length, self.kv_heads, size).transpose(1, 2)
            for layer in (self.k, self.v)
        )
        q, k = rotated(q, cosine, sine), rotated(k, cosine, sine)
        k, v = (
            t[:, :, None].expand(batch, self.kv_heads, shared, length, size).reshape(q.shape)
            for t in (k, v)
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(size) + mask
        mixed = torch.softmax(scores, -1, dtype=torch.float32) @ v
        x = x + self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        y = self.norms[1](x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(512, 128), nn.Linear(128, 512, bias=False)
        self.blocks = nn.ModuleList(LlamaBlock(128, 8, 2) for _ in range(2))
        self.norm = RootMeanSquare(128)
        self.register_buffer("mask", torch.triu(torch.full((32, 32), -1e9), 1))
        self.register_buffer("cosine", torch.rand(32, 16))
        self.register_buffer("sine", torch.rand(32, 16))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine, self.mask)
        return self.head(self.norm(x))


def mobilenet_v2() -> nn.Module:
    sys.path.insert(0, str(Path(__file__).parents[2] / "studies" / "networks"))
    module = importlib.import_module("mobilenet_v2")
    made: nn.Module = module.model()
    return made


NETWORKS = {
    "clip": (Clip, [(1, 3, 64, 64), (1, 16)]),
    "efficientnet": (efficientnet, [(1, 3, 64, 64)]),
    "llama": (Llama, [(1, 32)]),
    "mobilenet_v2": (mobilenet_v2, [(1, 3, 224, 224)]),
    "swin": (Swin, [(1, 3, 112, 112)]),
    "unet": (UNet, [(1, 4, 16, 16), (1, 32), (1, 12, 48)]),
}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, (make, shapes) in NETWORKS.items():
        model = make().eval()
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                # The exporter merges parameters of equal values, as fresh ones are.
                tensor.data.uniform_(0.1, 1.0)
        texts = {"llama": 0, "clip": 1}.get(name)
        inputs = tuple(
            torch.randint(0, 500, shape) if i == texts else torch.rand(shape)
            for i, shape in enumerate(shapes)
        )
        torch.onnx.export(model, inputs, folder / f"{name}.onnx", dynamo=False, opset_version=17)


if __name__ == "__main__":
    main()
