"""Draws the pictures of the documentation: `python docs/pictures/draw.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

import toolkit
from toolkit.study.pictures.bars import draw_bars, layer_bars

FOLDER = Path(__file__).parent


def draw_layers() -> None:
    """Energy and cycles of ResNet-18's layers on `eyeriss-conv`, the picture of the README."""
    result = toolkit.map_network(
        toolkit.load_network("resnet18"), toolkit.load_arch("eyeriss-conv")
    )
    with matplotlib.rc_context({"svg.hashsalt": "accel-search-toolkit", "svg.fonttype": "none"}):
        draw_bars(layer_bars(result)).savefig(
            FOLDER / "resnet18_layers.svg", metadata={"Date": None}, bbox_inches="tight"
        )


if __name__ == "__main__":
    draw_layers()
