"""Searches over hardware as Optuna studies that any number of workers share."""

DEFAULT_STRATEGIES = ("joint-gradient", "two-step", "tpe", "fill-area", "random")
"""Strategies over hardware that search if none is named."""

DEFAULT_SAMPLES = 50
"""Hardware points of each run if nothing is said."""
