"""Chances that tensors between layers are fused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from toolkit.fusion.partition.edges import FusibleEdge, FusionEdges  # noqa: E402
from toolkit.search.gradient.alternatives import Noise  # noqa: E402


def edges(count: int = 1, starts: int = 2) -> FusionEdges:
    names = [(f"l{i}", f"l{i + 1}") for i in range(count)]
    return FusionEdges([FusibleEdge(a, b, 100.0, 10.0) for a, b in names], 1, starts)


def test_fused_words_are_saved_by_both_ends_and_held_in_between() -> None:
    module, layers = edges(), (("l0",), ("l1", "l2"))
    assert module.words(layers).tolist() == [[100.0], [50.0]]
    assert module.windows(layers).tolist() == [[10.0], [5.0]]


def test_decisions_grow_firmer_as_they_cool() -> None:
    module = edges(3)
    with torch.no_grad():
        module.logits[:] = torch.tensor([-1.0, 0.0, 1.0])
    warm, cold = module.chances(1.0), module.chances(0.1)
    assert warm[0].tolist() == pytest.approx([0.2689, 0.5, 0.7311], abs=1e-4)
    assert (cold[:, 0] < 1e-4).all() and (cold[:, 2] > 1 - 1e-4).all()
    assert module.decided(1) == [("l2", "l3")]


def test_noisy_decisions_are_fused_as_often_as_their_chance_says() -> None:
    """Cold and with Gumbel noise of size 1, chances are samples of 0 and 1."""
    module = edges(1, starts=4000)
    with torch.no_grad():
        module.logits[:] = 1.0
    noise = Noise(torch.Generator().manual_seed(0), 1.0)
    drawn = module.chances(1e-3, noise).detach()
    assert float(drawn.mean()) == pytest.approx(0.7311, abs=0.03)
    assert float(((drawn < 0.01) | (drawn > 0.99)).double().mean()) > 0.99
