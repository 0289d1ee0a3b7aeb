"""A network written down by hand: layers, edges and fusion groups, one by one, without ONNX."""

from __future__ import annotations

import math
from collections.abc import Mapping

import networkx as nx

from toolkit.arguments import check_integer, check_kind
from toolkit.errors import WorkloadError
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import Role, Tensor, Workload
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import BITS, Attribute, Layer, TensorInfo

_PRODUCTS = ("gemm", "batched_gemm")
_WINDOWS = ("conv", "conv1d")


class NetworkByHand:
    """A network that grows layer by layer.

    Parameters
    ----------
    name : str
        Of the network.
    dtype : str
        Of all tensors, such as ``int8``.

    Attributes
    ----------
    groups : list of tuple of str
        Layers that shall be fused, group by group; see `toolkit.fusion.cost_partition`.

    Examples
    --------
    >>> from toolkit.workload import conv2d
    >>> net = NetworkByHand("two")
    >>> net.add_layer("a", conv2d(16, 3, 32, 32, 3, 3))
    >>> net.add_layer("b", conv2d(8, 16, 32, 32, 1, 1))
    >>> net.add_edge("a", "b")
    >>> net.add_group("a", "b")
    >>> [layer.name for layer in net.graph().layers], net.groups
    (['a', 'b'], [('a', 'b')])
    """

    def __init__(self, name: str = "", dtype: str = "int8") -> None:
        if dtype not in BITS:
            raise WorkloadError(
                f"unknown data type {dtype!r}{suggest(dtype, BITS)}", source=name, key="dtype"
            )
        self.name, self.dtype = name, dtype
        self.groups: list[tuple[str, ...]] = []
        self._layers = nx.DiGraph()

    def add_layer(self, name: str, workload: Workload, *, repetitions: int = 1) -> None:
        """Add a convolution or a matrix product.

        Raises
        ------
        WorkloadError
            If there is a layer of that name, or the workload is neither.
        """
        check_kind(workload, Workload, "workload")
        if workload.kernel not in (*_PRODUCTS, *_WINDOWS):
            raise WorkloadError(
                f"expected one of {', '.join((*_PRODUCTS, *_WINDOWS))}, got {workload.kernel}",
                source=self.name or None,
                key=f"layer {name!r}",
            )
        self._add(
            name, workload=workload, repetitions=check_integer(repetitions, 1, "repetitions")
        )

    def add_elementwise(self, name: str, operator: str = "Add") -> None:
        """Add an operator on single elements; its output is shaped like its inputs.

        Raises
        ------
        WorkloadError
            If there is a layer of that name.
        """
        self._add(name, operator=operator)

    def _add(self, name: str, **what: object) -> None:
        if not isinstance(name, str) or not name:
            raise WorkloadError(
                f"expected the name of a layer, got {describe(name)}", source=self.name or None
            )
        if name in self._layers:
            raise WorkloadError(
                "two layers have this name", source=self.name or None, key=f"layer {name!r}"
            )
        self._layers.add_node(name, **what)

    def add_edge(self, source: str, target: str, operand: str = "input") -> None:
        """Let a layer read what another makes.

        Parameters
        ----------
        operand : {"input", "weight"}
            As which operand a matrix product reads it.

        Raises
        ------
        WorkloadError
            If a layer is unknown, the operand is none, or layers would wait for each other.
        """
        key = f"edge {source!r} > {target!r}"
        for name in (source, target):
            self._known(name, key)
        if operand not in ("input", "weight"):
            raise WorkloadError(f"expected input or weight, got {operand!r}", key=key)
        if nx.has_path(self._layers, target, source):
            way = " > ".join(map(repr, nx.shortest_path(self._layers, target, source)))
            raise WorkloadError(f"layers would wait for each other: {way}", key=key)
        self._layers.add_edge(source, target, operand=operand)

    def add_group(self, *names: str) -> None:
        """Let layers be fused.

        Raises
        ------
        WorkloadError
            If there is none, one is unknown, named twice, or in another group.
        """
        taken = {name for group in self.groups for name in group}
        if not names:
            raise WorkloadError("expected the names of layers", key="group")
        for place, name in enumerate(names):
            self._known(name, "group")
            if name in names[:place]:
                raise WorkloadError(f"layer {name!r} is named twice", key="group")
            if name in taken:
                raise WorkloadError(f"layer {name!r} is in two groups", key="group")
        self.groups.append(names)

    def _known(self, name: str, key: str) -> None:
        if not isinstance(name, str):
            raise WorkloadError(
                f"expected the name of a layer, got {describe(name)}",
                source=self.name or None,
                key=key,
            )
        if name not in self._layers:
            raise WorkloadError(
                f"no layer {name!r}{suggest(name, list(self._layers))}",
                source=self.name or None,
                key=key,
            )

    def graph(self) -> LayerGraph:
        """Make the network of what there is.

        Layers that read nothing read an input of the network; what nobody reads is an output.
        Windows that reach beyond what a layer is given are padded, evenly on both sides.

        Raises
        ------
        WorkloadError
            If shapes do not go together, naming the layers.
        """
        made: dict[str, TensorInfo] = {}
        layers, inputs = [], []
        for name in nx.lexicographical_topological_sort(
            self._layers, key=list(self._layers).index
        ):
            node = self._layers.nodes[name]
            given = {
                operand: [
                    made[source]
                    for source, _, edge in self._layers.in_edges(name, data=True)
                    if edge["operand"] == operand
                ]
                for operand in ("input", "weight")
            }
            if "operator" in node:
                layer = self._elementwise(name, node["operator"], given["input"])
            else:
                layer = self._einsum(name, node["workload"], node["repetitions"], given)
            if not given["input"]:
                inputs.append(layer.inputs[0])
            made[name] = layer.outputs[0]
            layers.append(layer)
        outputs = [made[name] for name in self._layers if not self._layers.out_degree(name)]
        return LayerGraph.from_layers(layers, name=self.name, inputs=inputs, outputs=outputs)

    def _elementwise(self, name: str, operator: str, given: list[TensorInfo]) -> Layer:
        shapes = {tensor.shape for tensor in given}
        if len(shapes) != 1:
            raise WorkloadError(
                f"expected inputs of one shape, got {sorted(shapes) or 'none'}",
                source=self.name or None,
                key=f"layer {name!r}",
            )
        (shape,) = shapes
        out = TensorInfo(f"{name}.output", shape, self.dtype)
        return Layer(
            name,
            operator,
            "elementwise",
            tuple(given),
            (),
            (out,),
            elements=math.prod(shape),
            operations_per_element=1,
        )

    def _einsum(
        self, name: str, workload: Workload, repetitions: int, given: dict[str, list[TensorInfo]]
    ) -> Layer:
        windows = workload.kernel in _WINDOWS
        shapes = {t.role: _shape(workload, t, windows=windows) for t in workload.tensors}
        read = self._operand(name, "input", shapes["input"], given["input"], windows=windows)
        inputs, weights = [read], []
        if given["weight"]:
            second = self._operand(
                name, "weight", shapes["weight"], given["weight"], windows=False
            )
            inputs.append(second)
        else:
            weights.append(TensorInfo(f"{name}.weight", shapes["weight"], self.dtype))
        attributes: list[tuple[str, Attribute]] = []
        if windows:
            attributes = _window_attributes(workload, shapes, read.shape)
        return Layer(
            name,
            "Conv" if windows else "MatMul",
            "einsum",
            tuple(inputs),
            tuple(weights),
            (TensorInfo(f"{name}.output", shapes["output"], self.dtype),),
            tuple(weights),
            workload,
            repetitions,
            attributes=tuple(attributes),
        )

    def _operand(
        self,
        name: str,
        operand: str,
        shape: tuple[int, ...],
        given: list[TensorInfo],
        *,
        windows: bool,
    ) -> TensorInfo:
        """The tensor that a layer reads, if what it is given is what it asks for."""
        if not given:
            return TensorInfo(f"{name}.{operand}", shape, self.dtype)
        tensor, *others = given
        # Windows may reach beyond the input, which is padded then.
        fixed = 2 if windows else len(shape)
        fits = tensor.shape[:fixed] == shape[:fixed] and len(tensor.shape) == len(shape)
        if others or not fits or any(a > b for a, b in zip(tensor.shape, shape, strict=True)):
            shown = " and ".join(str(tensor.shape) for tensor in given)
            raise WorkloadError(
                f"reads {shape} as its {operand}, but is given {shown}",
                source=self.name or None,
                key=f"layer {name!r}",
            )
        return tensor


def _shape(workload: Workload, tensor: Tensor, *, windows: bool) -> tuple[int, ...]:
    """Shape of an operand as ONNX has it: batch and channels first, or rows and columns."""
    sizes = workload.sizes
    axes = tuple(
        sum(term.coefficient * (sizes[term.dimension] - 1) for term in index) + 1
        for index in tensor.indices
    )
    if windows:
        return axes if tensor.role == "weight" or "N" in sizes else (1, *axes)
    # Columns of the kernels are rows here: Out[n, m] = In[n, k] W[k, m].
    return (*axes[:-2], axes[-1], axes[-2])


def _window_attributes(
    workload: Workload, shapes: Mapping[Role, tuple[int, ...]], given: tuple[int, ...]
) -> list[tuple[str, Attribute]]:
    tensor = next(t for t in workload.tensors if t.role == "input")
    slides = [index for index in tensor.indices if len(index) == 2]
    missing = [wanted - there for wanted, there in zip(shapes["input"], given, strict=True)][2:]
    before = [total // 2 for total in missing]
    after = [total - pad for total, pad in zip(missing, before, strict=True)]
    return [
        ("kernel_shape", tuple(workload.sizes[index[1].dimension] for index in slides)),
        ("strides", tuple(index[0].coefficient for index in slides)),
        ("dilations", tuple(index[1].coefficient for index in slides)),
        ("pads", (*before, *after)),
    ]
