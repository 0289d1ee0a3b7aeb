"""Runs, the Optuna storages that keep them, and results as files."""
