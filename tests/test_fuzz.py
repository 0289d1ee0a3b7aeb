"""Broken inputs at every entrance end in a message or a result; ``python -m fuzz`` draws more."""

from pathlib import Path

import pytest
from fuzz.attack import attack, run
from fuzz.entrances import entrances

from toolkit.cli.app import main

INPUTS = 118


@pytest.mark.parametrize("entrance", entrances())
def test_broken_inputs_end_in_a_message(entrance: str) -> None:
    # Words that are still right start whole searches.
    assert list(attack(entrance, range(20 if entrance == "words" else INPUTS))) == []


@pytest.mark.parametrize("entrance", entrances())
def test_what_is_right_is_read(entrance: str, tmp_path: Path) -> None:
    """Otherwise only the first check of an entrance would be tried."""
    way = entrances()[entrance]
    wanted = [way.given(content, tmp_path) for content in way.seeds[-1:]] or [way.command.split()]
    assert [main(words) for words in wanted] == [way.status]


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["show", "arch", "eyeriss"]
    assert run(words) == ""
    monkeypatch.setattr("toolkit.cli.show.definition", lambda *_: {}["key"])
    assert "KeyError: 'key'" in run(words)
    monkeypatch.setattr("fuzz.attack.main", lambda words: print("text") or 2)
    assert "status 2 with output 'text" in run(words)
