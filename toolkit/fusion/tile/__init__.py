"""How one group runs: its tile, what becomes of halos, and what stays on chip.

Read `choice` for how the best plan is found, under `assumptions`. It asks what a loop can cut
(`shared`), and which positions every step then needs (`windows`). In a `nest` of such loops,
layers have their `runs`, and tensors and weights (`items`) are kept at some depth: what that
holds and moves is worked out for all tile sizes at once, of which `search` and `depths` take the
best. Where tensors and weights stay meanwhile is told by `residency`; the chosen point is
`planned` as a `group_plan`.
"""
