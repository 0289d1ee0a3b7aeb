"""The walk over a graph: every node becomes a constant, layers, or the body that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import onnx
from onnx import checker, helper

from toolkit.errors import WorkloadError
from toolkit.workload.network.attributes import check_attributes
from toolkit.workload.network.expand import expand, take_apart
from toolkit.workload.network.fold import (
    NEVER_CONSTANT,
    cast_of,
    constant_node,
    fold,
    shape_constant,
    stored_value,
)
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operand_sizes import without_operand_sizes
from toolkit.workload.network.operands import check_operands
from toolkit.workload.network.operators import (
    CONSTANT,
    CONTROL,
    LISTS,
    OPERATORS,
    REFUSED,
    Call,
)
from toolkit.workload.network.operators.call import Given, KvCache, make_layer
from toolkit.workload.network.operators.qonnx import QONNX, kept_dtype, narrow_dtype
from toolkit.workload.network.operators.vector import elementwise, view
from toolkit.workload.network.read import DOMAINS, describe_node, needed_nodes, used_names
from toolkit.workload.network.routing import Routers, nothing_to_add
from toolkit.workload.network.shapes import (
    Declared,
    Dimensions,
    ShapeInference,
    declared_shape,
    find_schema,
    same_shape,
)
from toolkit.workload.network.values import Value, empty

Unknown = Literal["error", "free", "elementwise"]
"""What becomes of an operator that the table does not have."""

_UNKNOWN_RULES = {
    "free": view("taken as free"),
    "elementwise": elementwise(1, "taken as elementwise"),
}

# What ONNX has under the same name, to the letter.
_STANDARD_ELSEWHERE = frozenset((("com.microsoft", "Range"),))

# Masks and statistics, whose shapes ONNX does not always infer and nobody reads in inference.
_OPTIONAL_OUTPUTS = frozenset(("BatchNormalization", "Dropout", "MaxPool"))

Scope = dict[str, Value]


@dataclass
class Walk:
    """State of reading one model: layers and warnings so far.

    Parameters
    ----------
    source : str
        The model, for messages.
    opsets : mapping of str to int
        Version by domain.
    ir_version : int
        Of the model.
    dims : Dimensions
        Sizes that the user gave.
    unknown : {"error", "free", "elementwise"}
        What becomes of operators that the table does not have.
    kv_cache : {"in-place", "copied"}
        How caches inside of operators grow.
    routers : Routers
        What is known of mixtures of experts.
    """

    source: str
    opsets: Mapping[str, int]
    ir_version: int
    dims: Dimensions
    unknown: Unknown
    kv_cache: KvCache = "in-place"
    routers: Routers = field(default_factory=Routers)
    layers: list[Layer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    tensors: set[str] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._assumed = ""
        self.shapes = ShapeInference(self.opsets, self.ir_version, self.dims, self._assume)
        self._context = checker.C.CheckerContext()
        self._context.ir_version = self.ir_version
        self._context.opset_imports = dict(self.opsets)

    def warn(self, message: str) -> None:
        """Remember a warning, once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def _assume(self, message: str) -> None:
        """Remember a warning about a size, and that what follows depends on it."""
        self._assumed = message
        self.warn(message)

    def branch(self) -> Walk:
        """A walk from here on, whose layers, warnings and names are joined or dropped later."""
        names, tensors = set(self.names), set(self.tensors)
        return replace(self, layers=[], warnings=[], empty=[], names=names, tensors=tensors)

    def join(self, other: Walk, repetitions: int = 1) -> None:
        """Take over what a branch found, its layers run several times."""
        self.layers += [
            replace(layer, repetitions=layer.repetitions * repetitions) for layer in other.layers
        ]
        for warning in other.warnings:
            self.warn(warning)
        self.empty += other.empty
        self.names |= other.names
        self.tensors |= other.tensors

    def graph(self, graph: onnx.GraphProto, scope: Scope, prefix: str = "") -> list[Value]:
        """Walk a graph and return its outputs.

        Parameters
        ----------
        graph : GraphProto
            The graph or body.
        scope : dict of str to Value
            Its inputs, and all that a body sees from outside; not changed.
        prefix : str
            Put before the names of layers and tensors.
        """
        scope = dict(scope)
        self.tensors.update(value.info.name for value in scope.values())
        for tensor in graph.initializer:
            value = stored_value(tensor, prefix + tensor.name, self.source)
            if value is not None:
                scope[tensor.name] = value
        for sparse in graph.sparse_initializer:
            value = stored_value(sparse.values, prefix + sparse.values.name, self.source)
            if value is not None:
                info = replace(value.info, shape=tuple(sparse.dims))
                scope[sparse.values.name] = replace(value, info=info, data=None)
        declared = {v.name: v.type for v in (*graph.value_info, *graph.output)}
        nodes = needed_nodes(graph, self.source)
        read = {name for node in nodes for name in used_names(node)}
        read |= {output.name for output in graph.output}
        for node in nodes:
            if node.op_type in _OPTIONAL_OUTPUTS:
                node.output[:] = [name if name in read else "" for name in node.output]
            self._node(node, scope, prefix, declared)
        for output in graph.output:
            if output.name not in scope:
                raise WorkloadError(
                    "no node makes this output", source=self.source, key=f"output {output.name!r}"
                )
        return [scope[output.name] for output in graph.output]

    def _node(self, node: onnx.NodeProto, scope: Scope, prefix: str, declared: Declared) -> None:
        for name in filter(None, node.input):
            if name not in scope:
                raise WorkloadError(
                    f"nothing makes its operand {name!r}",
                    source=self.source,
                    key=describe_node(node),
                )
        if DOMAINS.get(node.domain) == "" or (node.domain, node.op_type) in _STANDARD_ELSEWHERE:
            node.domain = ""
        try:
            call = self._call(node, scope, prefix)
        except (TypeError, ValueError) as cause:
            raise WorkloadError(
                f"has an attribute that cannot be read: {cause}",
                source=self.source,
                key=describe_node(node),
            ) from None
        self._assumed = next((v.assumed for v in call.inputs if v is not None and v.assumed), "")
        try:
            if call.operator in CONTROL:
                made = expand(self, node, call, scope)
            elif call.operator in LISTS:
                made = take_apart(self, call)
            else:
                made = self._values(node, call, prefix, declared)
        except WorkloadError as cause:
            if cause.source != self.source:
                cause = call.error(str(cause))
            raise self._explained(cause) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as cause:
            # Attributes and operands that no handler expects.
            raise call.error(f"is malformed: {type(cause).__name__}: {cause}") from None
        made = self.routers.after(call, made)
        if self._assumed:
            made = [replace(value, assumed=self._assumed) for value in made]
        scope.update(zip(filter(None, node.output), made, strict=False))

    def _explained(self, cause: WorkloadError) -> WorkloadError:
        """The error, with the size of an operand that was assumed and may be why."""
        if not self._assumed or self._assumed in str(cause):
            return cause
        message = f"{cause.message}; {self._assumed}"
        return type(cause)(message, source=cause.source, key=cause.key)

    def _call(self, node: onnx.NodeProto, scope: Scope, prefix: str) -> Call:
        domain = DOMAINS.get(node.domain, node.domain)
        operator = f"{domain}.{node.op_type}" if domain else node.op_type
        return Call(
            name=_unique(
                prefix + (node.name or f"{node.op_type}_{_first_output(node)}"), self.names
            ),
            operator=operator,
            attributes=_attributes(node),
            inputs=tuple(scope[name] if name else None for name in node.input),
            outputs=(),
            opset=self.opsets.get(domain, 1),
            source=self.source,
            places=tuple(place for place, output in enumerate(node.output) if output),
        )

    def _given(self, node: onnx.NodeProto, declared: Declared) -> Given:
        shapes = tuple(declared_shape(declared.get(name)) for name in node.output)
        return Given(self.dims.value, shapes, self.kv_cache, self.routers.chosen, self.warn)

    def _values(
        self, node: onnx.NodeProto, call: Call, prefix: str, declared: Declared
    ) -> list[Value]:
        node, call = without_operand_sizes(node, call, self.warn)
        self._check(node, call)
        call = replace(call, given=self._given(node, declared))
        if any(value is not None and value.items is not None for value in call.inputs):
            if call.operator == "Identity":
                return [call.input(0)]
            raise call.error("takes a list of tensors, which is not read")
        name = prefix + _first_output(node)
        if call.operator == "NonZero":
            positions = self.routers.positions(call, name)
            if positions is not None:
                return self._positions(call, positions)
        if nothing_to_add(call):
            return [call.input(0)]
        if call.operator in ("Shape", "Size"):
            return [shape_constant(call, name)]
        if call.operator == "Constant":
            return [constant_node(node, call, name)]
        if call.operator == "CastLike" and call.input(0).constant:
            node, call = cast_of(node, call)
        if call.operator in QONNX and narrow_dtype(call) is None:
            self.warn(f"{call.operator} {call.name!r} does not say how many bits its values have")
        constant = all(value is None or value.constant for value in call.inputs)
        if call.operator in CONSTANT or (constant and call.operator not in NEVER_CONSTANT):
            return fold(node, call, lambda: self._infer(node, call, prefix, declared))
        infos = self._infer(node, call, prefix, declared)
        if all(0 in info.shape for info in infos):
            return self._empty(call, infos)
        infos = [replace(info, name=_unique(info.name, self.tensors)) for info in infos]
        values = [self._narrowed(call, info) for info in infos]
        made = replace(call, outputs=tuple(value.info for value in values))
        self.layers += self._distinct(self._layers(made), made)
        return values

    def _narrowed(self, call: Call, info: TensorInfo) -> Value:
        """What a node makes, with the bits that a quantizer gave it."""
        narrow = narrow_dtype(call) or kept_dtype(call, OPERATORS.get(call.operator), info)
        if narrow is None:
            return Value(info)
        return Value(replace(info, dtype=narrow), carrier=info.dtype)

    def _positions(self, call: Call, found: Value) -> list[Value]:
        """Where the mask of an expert is set: of known length, at places that depend on data."""
        if found.constant:
            return [found]
        info = replace(found.info, name=_unique(found.info.name, self.tensors))
        made = replace(call, outputs=(info,))
        self.layers += self._distinct(self._layers(made), made)
        return [replace(found, info=info)]

    def _empty(self, call: Call, infos: Sequence[TensorInfo]) -> list[Value]:
        """Nothing, such as the part of a head that rotary embeddings leave alone."""
        rule = OPERATORS.get(call.operator)
        whole = all(value is None or 0 not in value.shape for value in call.inputs)
        if whole and rule is not None and rule.cost_class in ("einsum", "window"):
            # The input is too small for the filter.
            shape = list(infos[0].shape)
            raise call.mismatch(f"output {infos[0].name!r} is empty: shape {shape}")
        self.empty += [f"{i.name!r} ({call.operator}), shape {list(i.shape)}" for i in infos]
        return [empty(info) for info in infos]

    def _distinct(self, layers: Sequence[Layer], call: Call) -> list[Layer]:
        """Rename parts of a node, and tensors between them, that are called like others."""
        # Tensors are told apart by identity: an operand may have the name of one that is made.
        own = {id(tensor) for tensor in call.outputs}
        between = {
            id(tensor): replace(tensor, name=_unique(tensor.name, self.tensors))
            for layer in layers
            for tensor in layer.outputs
            if id(tensor) not in own
        }
        return [
            replace(
                layer,
                name=layer.name if layer.name == call.name else _unique(layer.name, self.names),
                inputs=tuple(between.get(id(tensor), tensor) for tensor in layer.inputs),
                outputs=tuple(between.get(id(tensor), tensor) for tensor in layer.outputs),
            )
            for layer in layers
        ]

    def _check(self, node: onnx.NodeProto, call: Call) -> None:
        """Let ONNX check attributes and the number of operands, once they cannot harm it."""
        if node.domain in DOMAINS or call.operator in OPERATORS:
            check_attributes(call, len(node.output))
        schema = find_schema(node.op_type, call.opset, node.domain)
        # The contents of a large Constant are not there to be checked; its shape was, on reading.
        if schema is None or call.operator == "Constant":
            return
        rule = OPERATORS.get(call.operator)
        if schema.deprecated and rule is not None and rule.shapes is not None:
            # Such as GroupNormalization of opsets 18 to 20, which models have all the same.
            return
        try:
            checker.check_node(node, self._context)
        except checker.ValidationError as cause:
            raise call.error(str(cause).strip().splitlines()[0][:300]) from None

    def _infer(
        self, node: onnx.NodeProto, call: Call, prefix: str, declared: Declared
    ) -> list[TensorInfo]:
        rule = OPERATORS.get(call.operator)
        names = tuple(name for name in node.output if name)
        dtype = next((v.info.dtype for v in call.inputs if v is not None), "float32")
        asked = replace(call, outputs=tuple(TensorInfo(name, (), dtype) for name in names))
        schema = find_schema(node.op_type, call.opset, node.domain)
        constant = schema is not None and all(v is None or v.constant for v in call.inputs)
        known = rule is not None or call.operator in CONSTANT or constant
        if not known and self.unknown == "error":
            reason = REFUSED.get(call.operator)
            raise call.error(
                ("operator is not known" if reason is None else f"is refused: it {reason}")
                + "; --unknown=free or --unknown=elementwise takes it as such"
            )
        try:
            infos = self.shapes.outputs(node, asked, rule, declared)
        except WorkloadError:
            if known or schema is not None:
                raise
            infos = [same_shape(call, name) for name in names]
            self.warn(
                f"{call.operator} {call.name!r}: shape of the output taken from its largest "
                f"operand, {list(infos[0].shape)}"
            )
        if known:
            check_operands(replace(asked, outputs=tuple(infos)))
        return [replace(info, name=prefix + info.name) for info in infos]

    def _layers(self, call: Call) -> tuple[Layer, ...]:
        rule = OPERATORS.get(call.operator)
        if rule is not None:
            return rule.handler(call, rule)
        self.warn(f"{call.operator} {call.name!r} is not known; taken as {self.unknown}")
        if self.unknown == "free":
            return (make_layer(call, _UNKNOWN_RULES["free"]),)
        rule = _UNKNOWN_RULES["elementwise"]
        return rule.handler(call, rule)


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken; it is taken from now on."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}.{number}"
    taken.add(unique)
    return unique


def _first_output(node: onnx.NodeProto) -> str:
    return next(filter(None, node.output), "")


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: _decoded(helper.get_attribute_value(a)) for a in node.attribute if a.type}


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value
