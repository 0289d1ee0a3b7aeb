"""The layer graph: a networkx graph whose nodes carry layers and whose edges carry tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

from toolkit.display import MOST_ROWS, object_html, table_html
from toolkit.errors import WorkloadError
from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.precision import Precision

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class WorkloadUse:
    """A workload and where a network uses it.

    Parameters
    ----------
    workload : Workload
        The operation.
    count : int
        How often it runs, repetitions included.
    layers : tuple of str
        Names of the layers that run it.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> [use.count for use in network.graph().workloads()]
    [1]
    """

    workload: Workload
    count: int
    layers: tuple[str, ...]


class LayerGraph(nx.DiGraph):  # type: ignore[misc]
    """A network: a directed acyclic graph of layers.

    Nodes are names of layers with the attribute ``layer`` (a `Layer`). An edge leads from the
    layer that makes a tensor to one that reads it, with the attributes ``tensors`` (a tuple of
    `TensorInfo`: two layers may share several) and ``bytes`` (their total, usable as a weight).
    Everything that networkx does with a `DiGraph` works; copies and subgraphs are layer graphs.

    Make one with `from_layers` or `toolkit.load_network`.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> graph = network.graph()
    >>> graph.macs, [layer.name for layer in graph.layers]
    (9216, ['one'])
    """

    def __repr__(self) -> str:
        return f"<LayerGraph {self._title}>"

    def _repr_html_(self) -> str:
        """For notebooks: what the network reads and makes, and a row per layer with products."""
        facts = [
            ("inputs", ", ".join(map(_shown, self.inputs))),
            ("outputs", ", ".join(map(_shown, self.outputs))),
            *(("note", warning) for warning in self.warnings),
        ]
        rows = [
            (
                layer.name,
                layer.operators,
                "" if layer.workload is None else layer.workload.name,
                f"{layer.repetitions:,}",
                f"{layer.macs:,}",
            )
            for layer in self.layers
            if layer.macs
        ]
        heads, left = ("layer", "operator", "workload", "times", "MACs"), (True, True, True)
        table = table_html(heads, rows, (*left, False, False), MOST_ROWS)
        return object_html(self._title, facts, table)

    @property
    def _title(self) -> str:
        name = self.graph.get("name") or "network"
        figures = f"{self.macs:,} MACs, {self.parameters:,} parameters"
        return f"{name}: {len(self)} layer{'s' * (len(self) != 1)}, {figures}"

    @classmethod
    def from_layers(
        cls,
        layers: Iterable[Layer],
        *,
        name: str = "",
        inputs: Sequence[TensorInfo] = (),
        outputs: Sequence[TensorInfo] = (),
        warnings: Sequence[str] = (),
        precision: Precision | None = None,
    ) -> LayerGraph:
        """Connect layers by the names of their tensors.

        Parameters
        ----------
        layers : iterable of Layer
            In an order in which they can run.
        name : str
            Name of the network.
        inputs, outputs : sequence of TensorInfo
            What the network reads and makes.
        warnings : sequence of str
            What had to be assumed.
        precision : Precision, optional
            What the user says of bits, where workloads have those of their layers' tensors; None
            where they have bits of their own, or none.

        Raises
        ------
        WorkloadError
            If two layers have the same name.
        """
        graph = cls()
        graph.graph.update(
            name=name,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            warnings=tuple(warnings),
            precision=precision,
        )
        makers: dict[str, str] = {}
        for layer in layers:
            if layer.name in graph:
                raise WorkloadError(
                    "two layers have this name", source=name or None, key=f"layer {layer.name!r}"
                )
            graph.add_node(layer.name, layer=layer)
            read: dict[str, dict[str, TensorInfo]] = {}
            for tensor in layer.inputs:
                if tensor.name in makers:
                    read.setdefault(makers[tensor.name], {})[tensor.name] = tensor
            for maker, tensors in read.items():
                given = tuple(tensors.values())
                total = sum(tensor.bytes for tensor in given)
                graph.add_edge(maker, layer.name, tensors=given, bytes=total)
            makers.update((tensor.name, layer.name) for tensor in layer.outputs)
        return graph

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, each after those that it reads from, otherwise as they were added."""
        places = {name: place for place, name in enumerate(self)}
        order = nx.lexicographical_topological_sort(self, key=places.__getitem__)
        return tuple(self.nodes[name]["layer"] for name in order)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What the network reads."""
        return tuple(self.graph.get("inputs", ()))

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What the network makes."""
        return tuple(self.graph.get("outputs", ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be assumed, one sentence each; empty for most networks."""
        return tuple(self.graph.get("warnings", ()))

    @property
    def precision(self) -> Precision | None:
        """What the user says of bits, where those of workloads follow from types of tensors."""
        found: Precision | None = self.graph.get("precision")
        return found

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(layer.macs for layer in self.layers)

    @property
    def operations(self) -> int:
        """Operations of the vector unit in one run."""
        return sum(layer.operations for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Learned numbers; a tensor that several layers share counts once."""
        return sum(tensor.elements for tensor in self._parameter_tensors())

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the parameters as the file stores them."""
        return sum(tensor.bytes for tensor in self._parameter_tensors())

    def _parameter_tensors(self) -> Iterable[TensorInfo]:
        parts = (part for layer in self.layers for part in (layer, *layer.folded))
        return {t.name: t for part in parts for t in part.parameters}.values()

    def workloads(self) -> tuple[WorkloadUse, ...]:
        """The distinct workloads, in the order of their first layers."""
        uses: dict[Workload, list[Layer]] = {}
        for layer in self.layers:
            if layer.workload is not None:
                uses.setdefault(layer.workload, []).append(layer)
        return tuple(
            WorkloadUse(
                workload,
                sum(layer.repetitions for layer in layers),
                tuple(layer.name for layer in layers),
            )
            for workload, layers in uses.items()
        )

    def table(self) -> pd.DataFrame:
        """One row per layer: what it is, what it costs, what it reads and writes.

        Returns
        -------
        DataFrame
            Columns ``layer``, ``operator``, ``class``, ``workload``, ``repetitions``, ``macs``,
            ``operations`` (both of all repetitions), ``input_bytes``, ``weight_bytes``,
            ``output_bytes`` (of one iteration inside of loops), ``parameters``, ``dtype`` and
            ``output`` (the shape of the first).
        """
        import pandas as pd

        rows = [
            {
                "layer": layer.name,
                "operator": layer.operator,
                "class": layer.cost_class,
                "workload": layer.workload.name if layer.workload else "",
                "repetitions": layer.repetitions,
                "macs": layer.macs,
                "operations": layer.operations,
                "input_bytes": layer.input_bytes,
                "weight_bytes": layer.weight_bytes,
                "output_bytes": layer.output_bytes,
                "parameters": sum(tensor.elements for tensor in layer.parameters),
                "dtype": layer.dtype,
                "output": "x".join(map(str, layer.outputs[0].shape)),
            }
            for layer in self.layers
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    "layer",
    "operator",
    "class",
    "workload",
    "repetitions",
    "macs",
    "operations",
    "input_bytes",
    "weight_bytes",
    "output_bytes",
    "parameters",
    "dtype",
    "output",
)


def _shown(tensor: TensorInfo) -> str:
    return f"{tensor.name} {'x'.join(map(str, tensor.shape))} {tensor.dtype}"
