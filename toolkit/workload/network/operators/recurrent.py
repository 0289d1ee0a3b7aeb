"""Stands in until every room imports from `toolkit.workload.network.operators.products`."""

from toolkit.workload.network.operators.products import GATES as GATES
from toolkit.workload.network.operators.products import recurrent as recurrent
