"""Joint search by gradients: networks as modules of torch, and a sampler that descends them.

`network` is the module: tilings of all layers (`layers`), hardware (`hardware`, whose figures
follow from its sizes as `figures` says) and fused edges. `build` says where it sets out, `rounded`
what can be built of it. `descent` is one descent from the mappings of a hardware point, and
`sampler` chooses where to descend from and what to propose.
"""
