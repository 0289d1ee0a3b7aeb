"""Stands in until every room imports from `toolkit.mapping.explain`."""

from toolkit.mapping.explain import render as render
