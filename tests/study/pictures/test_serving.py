"""The picture of serving: stacks that add up to what a token costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.network.test_serving import decoder, served
from study.pictures.clear import assert_fits

from toolkit.study.pictures.drawings import serving_drawings
from toolkit.study.pictures.serving import serving_picture, write_pictures


@pytest.mark.parametrize("decode", [1, 9])
def test_stacks_add_up(tmp_path: Path, decode: int) -> None:
    result = served(decoder("batch", "seq", "past"), prompt=32, decode=decode, batch=2)
    picture = serving_picture(result)
    assert picture.contexts == tuple(step.context for step in result.steps)
    cycles, energy = picture.stacks
    assert cycles.label.endswith("cycles per token")
    for stack, totals in (
        (cycles, [step.latency_cycles for step in result.steps]),
        (energy, [step.total_pj for step in result.steps]),
    ):
        shares = [sum(values) for values in zip(*stack.parts.values(), strict=True)]
        assert [x / shares[0] for x in shares] == pytest.approx([x / totals[0] for x in totals])
    assert_fits(serving_drawings(result))
    png, _, html = write_pictures(tmp_path, result)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "tokens in the cache" in html.read_text()
