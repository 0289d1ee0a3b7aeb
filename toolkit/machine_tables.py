"""Blocks and tables as numba takes them in formulas; loaded only to compile.

Numba's own arrays count references and take indices from the end, which is most of what would
have to be compiled. Here a block is one pointer, whatever it holds, an entry of a table one
address, and LLVM is told what cannot overlap. Indices are not looked at: they must be inside.
"""

from __future__ import annotations

import operator
from typing import Any, get_type_hints

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, typing
from numba.core.datamodel import models
from numba.core.typing import templates
from numba.extending import (
    infer_getattr,
    lower_builtin,
    lower_cast,
    lower_getattr_generic,
    lower_setattr_generic,
    register_model,
)

from toolkit.compilation import SIDES, Field, fields_of, record_type
from toolkit.machine_lanes import REALS, SIDE_BY_SIDE, spread

WORD, BYTE, REAL = ir.IntType(64), ir.IntType(8), ir.DoubleType()

HEAD = "where arrays lie"
"""What kernels load and store beside entries of arrays."""


class Opened(types.Type):  # type: ignore[misc]
    """A `toolkit.compilation.Block` of a named tuple of arrays."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__(f"{kind.__module__}.{kind.__qualname__}")


class Grid(types.Type):  # type: ignore[misc]
    """A table of a block, or a part of one: entries of one kind by so many indices.

    Parameters
    ----------
    dtype : NumPy type
        Of an entry.
    indices : int
        How many say which.
    step : int, optional
        Bytes from an entry to the next one, if that is not its size.
    """

    def __init__(self, dtype: np.dtype[Any], indices: int, step: int | None = None) -> None:
        self.dtype, self.indices, self.step = dtype, indices, step or dtype.itemsize
        self.entry = _entry(dtype)
        super().__init__(f"Grid({self.entry}, {dtype}, {indices}, {self.step})")

    def in_lane(self) -> Grid:
        """The same of a single mapping: where the first one's numbers lie."""
        dtype, step = self.dtype, self.step
        if dtype.fields is not None and dtype.itemsize > 8 * len(dtype.fields):
            dtype = np.dtype(
                {
                    "names": list(dtype.fields),
                    "formats": [np.float64] * len(dtype.fields),
                    "offsets": [offset for _, offset, *_ in dtype.fields.values()],
                    "itemsize": step,
                }
            )
        elif dtype.subdtype is not None:
            dtype = dtype.subdtype[0]
        return Grid(dtype, self.indices, step)


class Row(types.Type):  # type: ignore[misc]
    """A record of 64-bit numbers, where it lies."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        super().__init__(f"Row({dtype})")


class Sides(types.Type):  # type: ignore[misc]
    """The shape of a grid."""

    def __init__(self, indices: int) -> None:
        self.indices = indices
        super().__init__(f"Sides({indices})")


def taken(kind: Any) -> Any:
    """As what a formula takes an argument: not as one of its values, and blocks alike.

    Formulas are compiled once for the blocks that kernels take and for those that they make.
    """
    made = getattr(kind, "instance_class", None)
    if made is not None and all(hasattr(x, "__metadata__") for x in _hints(made)):
        return Opened(made)
    return types.unliteral(kind)


def _hints(made: type) -> list[Any]:
    return list(get_type_hints(made, include_extras=True).values())


@lower_cast(types.NamedTuple, Opened)
def _close(context: Any, builder: Any, given: Any, block: Opened, values: Any) -> Any:
    """Write the block of a named tuple of tables that a formula makes for another one."""
    fields: dict[str, Field] = fields_of(block.kind)
    table = cgutils.alloca_once(builder, WORD, (1 + SIDES) * len(fields))
    for number, (field, kind) in enumerate(zip(fields.values(), given.types, strict=True)):
        if field.kind == 1:
            continue
        value = builder.extract_value(values, number)
        words = [value]
        if isinstance(kind, Grid):
            words = [builder.extract_value(value, i) for i in range(1 + kind.indices)]
        words[0] = builder.ptrtoint(words[0], WORD)
        for column, word in enumerate(words):
            place = builder.gep(table, [ir.Constant(WORD, (1 + SIDES) * number + column)])
            _apart(builder, builder.store(word, place), HEAD)
    return table


def _entry(dtype: np.dtype[Any]) -> Any:
    """What an entry is once it is loaded."""
    if dtype.fields is not None:
        return Row(dtype)
    if dtype.subdtype is not None:
        return SIDE_BY_SIDE
    return {"f": types.float64, "b": types.boolean}.get(dtype.kind, types.int64)


@register_model(Opened)
class _OpenedModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, WORD.as_pointer())


@register_model(Row)
class _RowModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, BYTE.as_pointer())


@register_model(Grid)
class _GridModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        sides = [(f"side{i}", types.int64) for i in range(kind.indices)]
        super().__init__(manager, kind, [("data", types.voidptr), *sides])


@register_model(Sides)
class _SidesModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [(f"side{i}", types.int64) for i in range(kind.indices)])


@infer_getattr
class _OpenedFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Opened

    def generic_resolve(self, kind: Opened, name: str) -> Any:
        field = fields_of(kind.kind).get(name)
        if field is None:
            return None
        if field.kind == 1:
            return types.float64 if field.lanes == 1 else SIDE_BY_SIDE
        dtype = record_type(field.kind, field.lanes)
        return Grid(dtype, field.indices) if field.indices else Row(dtype)


@lower_getattr_generic(Opened)
def _open(context: Any, builder: Any, kind: Opened, block: Any, name: str) -> Any:
    """Read where an array lies and how long its sides are."""
    fields: dict[str, Field] = fields_of(kind.kind)
    field = fields[name]
    if field.kind == 1:
        one = ir.Constant(REAL, 1.0)
        return one if field.lanes == 1 else spread(builder, one)
    first = (1 + SIDES) * list(fields).index(name)

    def load(column: int) -> Any:
        place = builder.gep(block, [ir.Constant(WORD, first + column)])
        return _apart(builder, builder.load(place), HEAD)

    data = builder.inttoptr(load(0), BYTE.as_pointer())
    if not field.indices:
        return data
    sides = [load(1 + side) for side in range(field.indices)]
    return _packed(builder, [data, *sides])


def _packed(builder: Any, values: list[Any]) -> Any:
    packed = ir.Constant(ir.LiteralStructType([value.type for value in values]), ir.Undefined)
    for place, value in enumerate(values):
        packed = builder.insert_value(packed, value, place)
    return packed


@infer_getattr
class _GridFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Grid

    def resolve_shape(self, kind: Grid) -> Any:
        return Sides(kind.indices)


@lower_getattr_generic(Grid)
def _shape(context: Any, builder: Any, kind: Grid, grid: Any, name: str) -> Any:
    sides = [builder.extract_value(grid, 1 + side) for side in range(kind.indices)]
    return _packed(builder, sides)


@infer_getattr
class _RowFields(templates.AttributeTemplate):  # type: ignore[misc]
    key = Row

    def generic_resolve(self, kind: Row, name: str) -> Any:
        fields: dict[str, Any] = dict(kind.dtype.fields or {})
        return _entry(fields[name][0]) if name in fields else None


def _place(builder: Any, data: Any, offset: Any, dtype: np.dtype[Any]) -> Any:
    stored = REAL if dtype.kind == "f" else ir.IntType(8 * dtype.itemsize)
    if dtype.subdtype is not None:
        stored = REALS
    return builder.bitcast(builder.gep(data, [offset]), stored.as_pointer())


def _loaded(builder: Any, data: Any, offset: Any, dtype: np.dtype[Any], what: str) -> Any:
    """Load an entry; of a record, say where it lies."""
    if dtype.fields is not None:
        return builder.gep(data, [offset])
    value = builder.load(_place(builder, data, offset, dtype), align=min(8, dtype.itemsize))
    _apart(builder, value, what)
    if dtype.kind == "b":
        return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))
    if value.type in (REAL, REALS, WORD):
        return value
    return builder.zext(value, WORD) if dtype.kind == "u" else builder.sext(value, WORD)


def _stored(
    builder: Any, data: Any, offset: Any, dtype: np.dtype[Any], value: Any, what: str
) -> None:
    place = _place(builder, data, offset, dtype)
    if dtype.kind == "b":
        value = builder.zext(value, place.type.pointee)
    elif value.type != place.type.pointee:
        value = builder.trunc(value, place.type.pointee)
    _apart(builder, builder.store(value, place, align=min(8, dtype.itemsize)), what)


def _apart(builder: Any, access: Any, what: str) -> Any:
    """Tell LLVM that different fields, and entries of different kinds, never overlap."""
    module = builder.module
    root = module.add_metadata(["arrays of a block"])
    leaf = module.add_metadata([what, root, ir.Constant(WORD, 0)])
    access.set_metadata("tbaa", module.add_metadata([leaf, leaf, ir.Constant(WORD, 0)]))
    return access


def _field(kind: Row, name: str) -> tuple[np.dtype[Any], int, str]:
    """Type of a field, where in a record it lies, and what it is called in all lanes."""
    fields: dict[str, Any] = dict(kind.dtype.fields or {})
    dtype, offset = fields[name][:2]
    return dtype, offset, f"{' '.join(fields)}: {name}"


@lower_getattr_generic(Row)
def _get_field(context: Any, builder: Any, kind: Row, row: Any, name: str) -> Any:
    dtype, offset, what = _field(kind, name)
    return _loaded(builder, row, ir.Constant(WORD, offset), dtype, what)


@lower_setattr_generic(Row)
def _set_field(context: Any, builder: Any, form: Any, values: Any, name: str) -> None:
    kind = form.args[0]
    dtype, offset, what = _field(kind, name)
    value = context.cast(builder, values[1], form.args[1], _entry(dtype))
    _stored(builder, values[0], ir.Constant(WORD, offset), dtype, value, what)


@templates.infer_global(operator.getitem)
class _GetItem(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        whole, place = args
        if isinstance(whole, Sides):
            return typing.signature(types.int64, whole, types.int64)
        if not isinstance(whole, Grid):
            return None
        if isinstance(place, types.SliceType):
            return typing.signature(whole, whole, place)
        given = len(place) if isinstance(place, types.BaseTuple) else 1
        if given == whole.indices:
            return typing.signature(whole.entry, whole, place)
        return typing.signature(Grid(whole.dtype, whole.indices - given, whole.step), whole, place)


@templates.infer_global(operator.setitem)
class _SetItem(templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        whole, place, _ = args
        if not isinstance(whole, Grid) or isinstance(whole.entry, Row):
            return None
        return typing.signature(types.void, whole, place, whole.entry)


def _indices(builder: Any, place: Any, form: Any) -> list[tuple[Any, Any]]:
    """Indices, one or a tuple of them, each with its type."""
    if isinstance(form, types.BaseTuple):
        return list(zip(cgutils.unpack_tuple(builder, place), form, strict=True))
    return [(place, form)]


def _offset(context: Any, builder: Any, kind: Grid, grid: Any, indices: list[Any]) -> Any:
    """How many bytes from a grid's first entry the first one with these indices lies."""
    offset = ir.Constant(WORD, 0)
    for side in range(kind.indices):
        offset = builder.mul(offset, builder.extract_value(grid, 1 + side), flags=["nsw"])
        if side < len(indices):
            index = context.cast(builder, *indices[side], types.int64)
            offset = builder.add(offset, index, flags=["nsw"])
    return builder.mul(offset, ir.Constant(WORD, kind.step), flags=["nsw"])


def entry_at(context: Any, builder: Any, kind: Grid, grid: Any, indices: list[Any]) -> Any:
    """Load an entry by all its indices, each with its type."""
    offset = _offset(context, builder, kind, grid, indices)
    data = builder.extract_value(grid, 0)
    return _loaded(builder, data, offset, kind.dtype, _called(kind))


def _called(kind: Grid) -> str:
    """What entries that are no records are called, in all lanes."""
    return str(types.float64 if kind.dtype.subdtype is not None else kind.entry)


def of_lane(builder: Any, kind: Grid, grid: Any, lane: Any) -> Any:
    """The numbers of a single mapping in a grid, as `Grid.in_lane` describes them."""
    data, *sides = (builder.extract_value(grid, i) for i in range(1 + kind.indices))
    size = ir.Constant(WORD, 0 if kind.in_lane().dtype == kind.dtype else 8)
    return _packed(builder, [builder.gep(data, [builder.mul(lane, size)]), *sides])


@lower_builtin(operator.getitem, Grid, types.Integer)
@lower_builtin(operator.getitem, Grid, types.BaseTuple)
def _get_item(context: Any, builder: Any, form: Any, values: Any) -> Any:
    kind, indices = form.args[0], _indices(builder, values[1], form.args[1])
    if not isinstance(form.return_type, Grid):
        return entry_at(context, builder, kind, values[0], indices)
    offset = _offset(context, builder, kind, values[0], indices)
    data = builder.extract_value(values[0], 0)
    rest = range(kind.indices - form.return_type.indices, kind.indices)
    sides = [builder.extract_value(values[0], 1 + side) for side in rest]
    return _packed(builder, [builder.gep(data, [offset]), *sides])


@lower_builtin(operator.getitem, Grid, types.SliceType)
def _get_slice(context: Any, builder: Any, form: Any, values: Any) -> Any:
    """Entries from one index to before another, which is at least as large."""
    kind, part = form.args[0], context.make_helper(builder, form.args[1], values[1])
    data, first, *sides = (builder.extract_value(values[0], i) for i in range(1 + kind.indices))
    size = ir.Constant(WORD, kind.step)
    for side in sides:
        size = builder.mul(size, side, flags=["nsw"])
    beyond = builder.icmp_signed(">", part.stop, first)
    stop = builder.select(beyond, first, part.stop)
    start = builder.gep(data, [builder.mul(part.start, size, flags=["nsw"])])
    return _packed(builder, [start, builder.sub(stop, part.start), *sides])


@lower_builtin(operator.setitem, Grid, types.Integer, types.Any)
@lower_builtin(operator.setitem, Grid, types.BaseTuple, types.Any)
def _set_item(context: Any, builder: Any, form: Any, values: Any) -> Any:
    kind, indices = form.args[0], _indices(builder, values[1], form.args[1])
    offset = _offset(context, builder, kind, values[0], indices)
    data = builder.extract_value(values[0], 0)
    _stored(builder, data, offset, kind.dtype, values[2], _called(kind))
    return context.get_dummy_value()


@lower_builtin(operator.getitem, Sides, types.Integer)
def _side(context: Any, builder: Any, form: Any, values: Any) -> Any:
    sides = [builder.extract_value(values[0], side) for side in range(form.args[0].indices)]
    chosen = sides[-1]
    for number, side in reversed(list(enumerate(sides[:-1]))):
        is_it = builder.icmp_signed("==", values[1], ir.Constant(WORD, number))
        chosen = builder.select(is_it, side, chosen)
    return chosen
