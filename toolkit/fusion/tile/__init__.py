"""How one group runs: its tile, what becomes of halos, and what stays on chip.

Read `choice` for how the best plan is found. It asks what a group can be cut along (`cuts`), which
positions every step then needs (`windows`), what that holds and moves for all tile sizes at once
(`tiling`), where tensors and weights stay meanwhile (`residency`), and ends in a `group_plan`.
"""
