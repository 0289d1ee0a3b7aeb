"""Accelerators as YAML files; `toolkit.arch.load_arch` loads them by name."""
