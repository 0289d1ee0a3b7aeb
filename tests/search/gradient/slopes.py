"""Gradients of modules held against finite differences of their parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def settle(tilings: torch.nn.Module, seed: int = 0) -> None:
    """Move factors to a generic point: every free one well above its lower bound."""
    draw = np.random.default_rng(seed)
    free = (tilings.lower < tilings.upper).double()
    share = torch.tensor(draw.uniform(0.5, 1.5, tuple(tilings.logs.shape))) * free
    with torch.no_grad():
        share = share / share.sum(dim=1, keepdim=True).clamp(min=1e-9)
        tilings.logs.copy_(tilings.lower + share * tilings.total[:, None])
    tilings.project_()


def check_slopes(
    module: torch.nn.Module, loss: Callable[[], torch.Tensor], draws: int = 12, smooth: float = 0.9
) -> None:
    """Compare gradients with central differences at entries drawn of every parameter.

    Where differences of two widths disagree, a maximum or a penalty sets in nearby: most
    entries have to be smooth.
    """
    module.zero_grad()
    loss().sum().backward()
    draw, kinks, total = np.random.default_rng(0), 0, 0
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name
        flat, slopes = parameter.data.view(-1), parameter.grad.view(-1)
        for place in draw.choice(len(flat), min(draws, len(flat)), replace=False).tolist():
            found = []
            for step in (1e-4, 1e-5):
                kept, ends = float(flat[place]), []
                for end in (kept + step, kept - step):
                    flat[place] = end
                    with torch.no_grad():
                        ends.append(float(loss().sum()))
                flat[place] = kept
                found.append((ends[0] - ends[1]) / (2 * step))
            total += 1
            if not np.isclose(*found, rtol=1e-3, atol=1e-4):
                kinks += 1
                continue
            np.testing.assert_allclose(
                float(slopes[place]), found[1], rtol=2e-3, atol=2e-4, err_msg=name
            )
    assert kinks <= (1 - smooth) * total
