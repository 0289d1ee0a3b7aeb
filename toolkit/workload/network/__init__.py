"""Networks: ONNX models as graphs of layers, each with its cost class."""

from toolkit.workload.network.built_in import network_model, network_names
from toolkit.workload.network.by_hand import NetworkByHand
from toolkit.workload.network.graph import LayerGraph, WorkloadUse
from toolkit.workload.network.layer import CostClass, Layer, TensorInfo
from toolkit.workload.network.load import load_network
from toolkit.workload.network.operators import operator_table
from toolkit.workload.network.several import load_networks

__all__ = [
    "CostClass",
    "Layer",
    "LayerGraph",
    "NetworkByHand",
    "TensorInfo",
    "WorkloadUse",
    "load_network",
    "load_networks",
    "network_model",
    "network_names",
    "operator_table",
]
