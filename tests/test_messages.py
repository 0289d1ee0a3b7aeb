from __future__ import annotations

from toolkit.messages import describe, format_key, suggest


def test_key_paths_and_values_stay_short() -> None:
    assert format_key(("levels", 2, "a b")) == "levels[2]['a b']"
    assert len(describe("x" * 10_000)) <= 80
    assert len(describe(10**300)) <= 80


def test_suggestions_ignore_case() -> None:
    assert suggest("EYERIS", ["eyeriss", "tpu"]) == " (did you mean 'eyeriss'?)"
    assert suggest("zzz", ["eyeriss", "tpu"]) == ""
