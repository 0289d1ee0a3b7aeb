"""Stands in until every room imports from `toolkit.arch.architecture`."""

from toolkit.arch.architecture import VectorUnit as VectorUnit
