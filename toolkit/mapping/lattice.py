"""Stands in until every room imports from `toolkit.mapping.factors` and `mapping.mapping`."""

from toolkit.mapping.factors import DimensionLattice as DimensionLattice
from toolkit.mapping.factors import build_lattice as build_lattice
from toolkit.mapping.mapping import BoolArray as BoolArray
from toolkit.mapping.mapping import FloatArray as FloatArray
