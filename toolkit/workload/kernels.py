"""Stands in until every room imports from `toolkit.workload.ready_made`."""

from toolkit.workload.ready_made import batched_gemm as batched_gemm
from toolkit.workload.ready_made import conv1d as conv1d
from toolkit.workload.ready_made import conv2d as conv2d
from toolkit.workload.ready_made import depthwise_conv2d as depthwise_conv2d
from toolkit.workload.ready_made import gemm as gemm
from toolkit.workload.ready_made import grouped_conv2d as grouped_conv2d
from toolkit.workload.ready_made import transposed_conv2d as transposed_conv2d
