"""Stands in until every room imports from `toolkit.workload.network.layer`."""

from toolkit.workload.network.layer import BITS as BITS
from toolkit.workload.network.layer import TensorInfo as TensorInfo
from toolkit.workload.network.layer import may_be_learned as may_be_learned
