"""Draws the pictures of the documentation: `python docs/pictures/draw.py`.

Each is drawn twice: pages of the site show those named `_narrow` on a phone.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import toolkit
from toolkit.study.pictures.bars import draw_bars, layer_bars
from toolkit.study.pictures.look import COLORS, NARROW

FOLDER = Path(__file__).parent


def draw_layers() -> None:
    """Energy and cycles of ResNet-18's layers on `eyeriss-conv`, the picture of the README."""
    result = toolkit.map_network(
        toolkit.load_network("resnet18"), toolkit.load_arch("eyeriss-conv")
    )
    bars = layer_bars(result)
    _write(draw_bars(bars), "resnet18_layers")
    _write(draw_bars(bars, narrow=True), "resnet18_layers_narrow")


def draw_kernels() -> None:
    """Dimensions of a matrix product and of a convolution."""
    wide, slim = (
        Figure((9, 3.6), layout="constrained"),
        Figure((NARROW, 4.4), layout="constrained"),
    )
    _draw_kernels(*wide.subplots(1, 2))
    _write(wide, "kernels")
    _draw_kernels(*slim.subplots(2, 1))
    _write(slim, "kernels_narrow")


def _draw_kernels(product: Axes, convolution: Axes) -> None:
    _box(product, (0, 0), 2, 3, COLORS[2], "weight", "K", "M")
    _box(product, (3, 0), 2.5, 2, COLORS[0], "input", "N", "K")
    _box(product, (6.5, 0), 2.5, 3, COLORS[1], "output", "N", "M")
    product.set_title("matrix product (gemm)")
    _box(
        convolution,
        (0, 0),
        3.2,
        3.2,
        COLORS[0],
        "input",
        "(Q-1)·stride + S",
        "(P-1)·stride + R",
        "C",
    )
    _box(convolution, (5, 1), 1.2, 1.2, COLORS[2], "M weights", "S", "R", "C")
    _box(convolution, (8.2, 0.3), 2.4, 2.4, COLORS[1], "output", "Q", "P", "M")
    convolution.set_title("convolution (conv)")
    for axes in (product, convolution):
        axes.set_aspect("equal")
        axes.autoscale_view()
        axes.axis("off")


def _box(
    axes: Axes,
    corner: tuple[float, float],
    width: float,
    height: float,
    shade: str,
    name: str,
    across: str,
    down: str,
    deep: str = "",
) -> None:
    """Draw a tensor with what its axes are called; several of them behind each other if deep."""
    x, y = corner
    for behind in (0.6, 0.4, 0.2, 0.0) if deep else (0.0,):
        place = (x + behind, y + behind)
        axes.add_patch(
            Rectangle(place, width, height, facecolor=shade, edgecolor="white", linewidth=1)
        )
    axes.text(x + width / 2, y - 0.75, name, ha="center", va="top", weight="bold")
    axes.text(x + width / 2, y - 0.15, across, ha="center", va="top")
    axes.text(x - 0.15, y + height / 2, down, ha="right", va="center", rotation=90)
    if deep:
        axes.text(x + 0.2, y + height + 0.55, deep, ha="right", va="center")


def _write(figure: Figure, name: str) -> None:
    """Write a picture that is the same whenever it is drawn; letters stay letters."""
    with matplotlib.rc_context({"svg.hashsalt": "accel-search-toolkit", "svg.fonttype": "none"}):
        path = FOLDER / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    draw_layers()
    draw_kernels()
