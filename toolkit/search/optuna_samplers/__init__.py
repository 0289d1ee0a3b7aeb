"""Optuna's samplers as strategies: `samplers` is the table of them, `driver` spends the budget.

`encoding` is how a mapping is written as the parameters of a trial; `alternatives` are other ways
that were measured beside it.
"""
