"""Timeloop's templates: what its front end has Jinja2 write into a file before it is read.

Files that nobody vouches for are never rendered: Jinja2 only parses them, and of its language
the few constructs are carried out that write text. There are no loops, no macros, no attributes
and no arithmetic, so that nothing runs and nothing grows: text, includes and conditions.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from toolkit.errors import InputError
from toolkit.messages import describe, shown_path
from toolkit.text_files import MAX_BYTES, decode, read_bytes

if TYPE_CHECKING:
    from jinja2 import nodes

    _Handler = Callable[["_Template", "nodes.Node"], object]

MAX_INCLUDES = 100
"""Most files that one file includes, directly or not."""

MAX_NESTING = 8
"""Deepest nesting of includes."""

# Jinja2 names a file by its endings, such as top.yaml.jinja2.
_ENDINGS = (".yaml", ".yml", ".jinja", ".jinja2", ".j2")
_EXPECTED = (
    "expected {{ include_text('file.yaml') }}, {{ name }}, {{ name|default(value) }}, "
    "{% set name = value %}, {% if name %} ... {% else %} ... {% endif %}"
)
# Several times what any condition in a file needs.
_MAX_DEPTH = 50


def is_template(data: bytes) -> bool:
    """Whether a file has to be expanded before it is YAML."""
    return b"{{" in data or b"{%" in data


def expand_template(
    text: str, path: str, error: type[InputError], values: Mapping[str, object]
) -> tuple[str, frozenset[str]]:
    """Expand the templates in a file.

    Parameters
    ----------
    text : str
        The file.
    path : str
        Where it lies. Includes name their files relative to the file that they stand in, and
        reach no further out than the folder that holds its folder.
    error : type of InputError
        The class to raise.
    values : mapping
        Values of the names that the file leaves open.

    Returns
    -------
    text : str
        YAML, of at most `toolkit.text_files.MAX_BYTES`.
    used : frozenset of str
        Those of `values` that the file asks for.

    Raises
    ------
    InputError
        Naming the file, the line, and what is not expanded here.
    """
    folder = Path(os.path.realpath(path)).parent
    run = _Run(folder.parent, error)
    expanded = _Template(run, path, 0, dict(values)).expand(text)
    return expanded, frozenset(run.asked & values.keys())


@dataclass(slots=True)
class _Run:
    """What all templates of one file share."""

    root: Path
    error: type[InputError]
    folders: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    includes: int = 0
    length: int = 0


class _Missing:
    """A name without a value."""

    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(slots=True)
class _Template:
    """One file on its way to text."""

    run: _Run
    path: str
    nesting: int
    values: dict[str, object]

    def refuse(self, message: str, line: int) -> InputError:
        return self.run.error(f"line {line}: {message}", source=shown_path(self.path))

    def expand(self, text: str) -> str:
        from jinja2 import Environment, TemplateSyntaxError

        try:
            tree = Environment(autoescape=False, keep_trailing_newline=True).parse(text)
        except TemplateSyntaxError as cause:
            raise self.refuse(f"not a template: {cause.message}", cause.lineno) from None
        except (RecursionError, ValueError, OverflowError, MemoryError):
            raise self.refuse(f"not a template; {_EXPECTED}", 1) from None
        return self.body(tree.body, 0)

    def body(self, body: list[nodes.Node], depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise self.refuse(f"conditions are nested more than {_MAX_DEPTH} deep", body[0].lineno)
        return "".join(self.statement(node, depth) for node in body)

    def statement(self, node: nodes.Node, depth: int) -> str:
        from jinja2 import nodes

        match node:
            case nodes.Output(nodes=parts):
                return "".join(self.written(part) for part in parts)
            case nodes.Assign(target=nodes.Name(name=name), node=value):
                self.values[name] = self.evaluate(value)
                return ""
            case nodes.If(test=test, body=body, elif_=others, else_=other):
                for condition, chosen in ((test, body), *((o.test, o.body) for o in others)):
                    if self.evaluate(condition):
                        return self.body(chosen, depth + 1)
                return self.body(other, depth + 1)
        raise self.refuse(
            f"{type(node).__name__.lower()} is not expanded here; {_EXPECTED}", node.lineno
        )

    def written(self, node: nodes.Expr) -> str:
        from jinja2 import nodes

        text = node.data if isinstance(node, nodes.TemplateData) else str(self.evaluate(node))
        self.run.length += len(text)
        if self.run.length > MAX_BYTES:
            raise self.refuse(f"expands to more than {MAX_BYTES} bytes", node.lineno)
        return text

    def evaluate(self, node: nodes.Node, depth: int = 0) -> object:
        """Find the value of an expression, which must have one."""
        value = self.value(node, depth)
        if isinstance(value, _Missing):
            raise self.refuse(
                f"{describe(value.name)} has no value; expected a default in the file, or one: of "
                f"architectures as {Path(self.path).name}:{value.name}=16, of networks with --dim "
                f"{value.name}=16",
                node.lineno,
            )
        return value

    def value(self, node: nodes.Node, depth: int) -> object:
        from jinja2 import nodes

        if depth > _MAX_DEPTH:
            raise self.refuse(f"nested more than {_MAX_DEPTH} deep", node.lineno)
        inside = functools.partial(self.evaluate, depth=depth + 1)
        match node:
            case nodes.Const(value=value):
                return value
            case nodes.Name(name=name):
                self.run.asked.add(name)
                return self.values.get(name, _Missing(name))
            case nodes.Not(node=operand):
                return not inside(operand)
            case nodes.Concat(nodes=parts):
                text = "".join(str(inside(part)) for part in parts)
                if len(text) > MAX_BYTES:
                    raise self.refuse(f"makes more than {MAX_BYTES} bytes", node.lineno)
                return text
            case nodes.Filter(name="default" | "d", node=nodes.Expr() as first, args=[other]):
                value = self.value(first, depth + 1)
                return inside(other) if isinstance(value, _Missing) else value
            case nodes.Call(node=nodes.Name(name=name), args=args, kwargs=[]):
                return self.call(name, [inside(arg) for arg in args], node.lineno)
        kind = type(node).__name__.lower()
        raise self.refuse(f"{kind} in a template is not expanded here; {_EXPECTED}", node.lineno)

    def call(self, name: str, args: list[object], line: int) -> object:
        if name == "cwd" and not args:
            return os.path.dirname(os.path.abspath(self.path))
        if len(args) not in _CALLS.get(name, ()) or not all(isinstance(a, str) for a in args):
            known = ", ".join(("cwd()", *(f"{known}('...')" for known in _CALLS)))
            raise self.refuse(f"{describe(name)} is no such function; expected {known}", line)
        place, *keys = cast("list[str]", args)
        if name == "path_exists":
            return self.found(place, line) is not None
        if name == "add_to_path":
            self.run.folders.append(os.path.join(os.path.dirname(self.path), place))
            return ""
        if name == "include_all":
            return self.include_all(place, keys, line)
        path = self.found(place, line)
        if path is None:
            raise self.refuse(f"no file {describe(place)} beside it to include", line)
        if name == "find_path":
            return path
        if name == "include_text":
            return self.include(path, line)
        return _inline(self.section(path, keys, line))

    def found(self, place: str, line: int) -> str | None:
        """Find a file from the folder of this one or from those added to the path."""
        for folder in (os.path.dirname(self.path), *self.run.folders):
            path = os.path.join(folder, place)
            try:
                real = Path(os.path.realpath(path))
                exists = real.is_file()
            except (OSError, ValueError):
                continue
            if not real.is_relative_to(self.run.root):
                raise self.refuse(
                    f"{describe(place)} lies outside of {shown_path(str(self.run.root))}; files "
                    "include what is in their folder, in the one around it, or further in",
                    line,
                )
            if exists:
                return path
        return None

    def include(self, path: str, line: int) -> str:
        """Expand another file in the place of a call."""
        self.run.includes += 1
        if self.run.includes > MAX_INCLUDES or self.nesting >= MAX_NESTING:
            raise self.refuse(
                f"includes more than {MAX_INCLUDES} files, or deeper than {MAX_NESTING}", line
            )
        if not path.lower().endswith(_ENDINGS):
            raise self.refuse(
                f"includes {describe(Path(path).name)}; expected a file that ends in "
                f"{', '.join(_ENDINGS)}",
                line,
            )
        text = decode(read_bytes(path, self.run.error), shown_path(path), self.run.error)
        inner = replace(self, path=path, nesting=self.nesting + 1, values=dict(self.values))
        return inner.expand(text)

    def section(self, path: str, keys: list[str], line: int) -> object:
        """Read another file as data, and take what stands at dotted keys."""
        from toolkit.peer_files import TIMELOOP_TAGS
        from toolkit.yaml_files import parse_yaml

        text = self.include(path, line)
        found = parse_yaml(
            text.encode(),
            source=shown_path(path),
            error=self.run.error,
            tags=TIMELOOP_TAGS,
            aliases=True,
        )
        for key in keys[0].split(".") if keys else ():
            if not isinstance(found, dict) or key not in found:
                raise self.refuse(f"{describe(Path(path).name)} has no {describe(keys[0])}", line)
            found = found[key]
        return found

    def include_all(self, pattern: str, keys: list[str], line: int) -> str:
        """Join the lists in all files of a folder, such as ``parts/*.yaml``."""
        folder, _, name = pattern.rpartition("/")
        if "*" in folder or name not in ("*.yaml", "*.yml"):
            raise self.refuse(f"expected such as 'parts/*.yaml', got {describe(pattern)}", line)
        joined: list[object] = []
        for base in (os.path.dirname(self.path), *self.run.folders):
            paths = sorted(Path(base, folder).glob(name))
            for path in paths:
                place = self.found(os.path.join(folder, path.name), line) or str(path)
                part = self.section(place, keys, line)
                joined += part if isinstance(part, list) else [part]
            if paths:
                return _inline(joined)
        raise self.refuse(f"no file {describe(pattern)} to include", line)


_CALLS: Mapping[str, tuple[int, ...]] = {
    "include_text": (1,),
    "include": (1, 2),
    "include_all": (1, 2),
    "find_path": (1,),
    "path_exists": (1,),
    "add_to_path": (1,),
}
"""Functions, and how many texts they take."""


def _inline(data: object) -> str:
    from toolkit.yaml_files import dump_inline

    return dump_inline(data)
