"""Stands in until every room imports from `toolkit.mapping.bounds`."""

from toolkit.mapping.bounds import Footprint as Footprint
from toolkit.mapping.bounds import check_footprint as check_footprint
from toolkit.mapping.bounds import exact_tensor_words as exact_tensor_words
from toolkit.mapping.bounds import tensor_words as tensor_words
