"""An architecture whose DRAM passes the output by, at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.cli.app import main

ONCHIP = Path(__file__).parents[1] / "data" / "onchip.yaml"


@pytest.mark.parametrize("strategy", ["exact", "greedy", "random"])
def test_an_output_without_room_is_refused(
    strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["map", str(ONCHIP), "1024", "1024", "1024", "--strategy", strategy])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err == (
        "toolkit: onchip: gemm:M=1024,K=1024,N=1024 does not fit, because the outermost memory "
        "that holds output (Buffer, 8,192 words) has no room for all of it: 1,048,576 words\n"
    )


def test_an_output_with_room_stays(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["map", str(ONCHIP), "64", "1024", "64", "--strategy", "exact"])
    out, _ = capsys.readouterr()
    assert status == 0
    assert "proved optimal" in out
    buffer = next(line for line in out.splitlines() if line.strip().startswith("Buffer: "))
    assert "output 4,096 for the whole run" in buffer


def test_an_output_that_nobody_holds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, which the file alone cannot know."""
    text = ONCHIP.read_text().replace("[output]", "[Out]")
    text = text.replace("capacity_words: 8192", "capacity_words: 8192\n    bypasses: [Out]")
    text = text.replace("capacity_words: 16", "capacity_words: 16\n    bypasses: [Out]")
    path = tmp_path / "nobody.yaml"
    path.write_text(text.replace("kernel: gemm\n", ""))
    work = tmp_path / "work.yaml"
    work.write_text(
        "name: work\ndimensions: {M: 4, K: 4}\n"
        "tensors: [{input: 'In[K]'}, {weight: 'W[M, K]'}, {output: 'Out[M]'}]\n"
    )
    status = main(["map", str(path), str(work)])
    _, err = capsys.readouterr()
    assert status == 2
    assert "no memory holds the tensor 'Out', so nothing keeps the output at the end" in err
