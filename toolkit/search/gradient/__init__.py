"""Gradient descent over real-valued tilings, DOSA's path, many starts as one batch.

After Hong et al., DOSA (MICRO 2023): tile factors become real, the same cost model is run by
torch, Adam descends the logarithm of the objective plus penalties for capacities and meshes,
and at intervals every start is rounded to a valid mapping nearby, which the exact model scores.
Unlike there, factors stay on a simplex (`descent`), Adam goes on from the
real-valued point, and every start keeps the loop orders that it was drawn with. A discrete
descent by single prime factors and loop orders from the best rounded mappings ends each round
(`polish`): the strategy is a hybrid, and ``polish_share=0`` leaves the gradient alone.

One evaluation is one mapping costed once, by whichever form of the model: every real-valued
tiling in every step of Adam counts one (the backward pass is part of it), and so does every
mapping that is scored at a rounding or in the polish.
"""

from toolkit.search.gradient.strategy import gradient

__all__ = ["gradient"]
