"""Stands in until every room imports from `toolkit.arch.levels`."""

from toolkit.arch.levels import COMPUTES as COMPUTES
from toolkit.arch.levels import MEMORIES as MEMORIES
from toolkit.arch.levels import OFF_CHIP as OFF_CHIP
from toolkit.arch.levels import Component as Component
