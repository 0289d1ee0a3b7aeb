"""Joint search by gradients: a sampler proposes what descents of all layers together arrive at.

`sampler` chooses where to descend from and what to propose; `descent` is one descent. What
descends is in `relaxation`, how figures of hardware follow from its sizes in `figures`.
"""
