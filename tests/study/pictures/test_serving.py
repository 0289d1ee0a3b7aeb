"""The picture of serving: stacks that add up to what a token costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.network.test_serving import decoder, served

from toolkit.study.pictures.serving import draw_serving, serving_picture, write_pictures


@pytest.mark.parametrize("decode", [1, 9])
def test_stacks_add_up(tmp_path: Path, decode: int) -> None:
    result = served(decoder("batch", "seq", "past"), prompt=32, decode=decode, batch=2)
    picture = serving_picture(result)
    assert picture.contexts == tuple(step.context for step in result.steps)
    cycles, energy = picture.stacks
    assert cycles.label == "cycles per token"
    for place, step in enumerate(result.steps):
        assert sum(v[place] for v in cycles.parts.values()) == pytest.approx(step.latency_cycles)
    shares = [sum(v[place] for v in energy.parts.values()) for place in range(len(result.steps))]
    totals = [step.total_pj for step in result.steps]
    assert [x / shares[0] for x in shares] == pytest.approx([x / totals[0] for x in totals])
    assert len(draw_serving(picture).axes) == 2
    png, _, html = write_pictures(tmp_path, result)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "tokens in the cache" in html.read_text()
