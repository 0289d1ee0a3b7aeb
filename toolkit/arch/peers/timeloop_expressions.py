"""Values that Timeloop's front end computes: ``depth: bank_depth * n_banks``.

An expression sees the ``variables`` of the document, attributes of the containers around it and
those beside it. Whatever is no arithmetic over numbers stays text, and is refused where a number
is needed.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.arch.expressions import Number, parse_expression

_Scope = Mapping[str, Number]

# What may hold expressions: figures and numbers of instances.
_COMPUTED = ("attributes", "spatial")


def evaluated(document: object) -> object:
    """Replace expressions in the architecture of a document by their values.

    Examples
    --------
    >>> node = {"attributes": {"banks": 2, "depth": "banks * WORDS"}}
    >>> evaluated({"variables": {"WORDS": 64}, "architecture": node})["architecture"]
    {'attributes': {'banks': 2, 'depth': 128}}
    """
    if not isinstance(document, dict):
        return document
    scope = _numbers(_computed(document.get("variables"), {}))
    sections = {
        name: _inside(document[name], scope)
        for name in ("architecture", "arch")
        if name in document
    }
    return {**document, **sections}


def _inside(value: object, scope: _Scope) -> object:
    """Walk the tree; what stands behind a container is inside of it."""
    if isinstance(value, list):
        walked: list[object] = []
        for item in value:
            walked.append(_inside(item, scope))
            container = item.get("!Container") if isinstance(item, dict) else None
            if isinstance(container, dict):
                own = _computed(container.get("attributes"), scope)
                scope = {**scope, **_numbers(own)}
        return walked
    if not isinstance(value, dict):
        return value
    inner = {**scope, **_numbers(_computed(value.get("attributes"), scope))}
    return {
        key: _computed(item, inner) if key in _COMPUTED else _inside(item, inner)
        for key, item in value.items()
    }


def _computed(mapping: object, scope: _Scope) -> object:
    """Compute the values of a mapping, which may take each other in any order."""
    if not isinstance(mapping, dict):
        return mapping
    values = dict(mapping)
    for _ in values:
        known = {**scope, **_numbers(values)}
        found = {key: _value(value, known) for key, value in values.items()}
        if found == values:
            break
        values = found
    return values


def _value(value: object, known: _Scope) -> object:
    if not isinstance(value, str):
        return value
    try:
        expression = parse_expression(value)
        if all(name in known for name in expression.names):
            return expression.value(known)
    except ValueError:
        return value
    return value


def _numbers(mapping: object) -> dict[str, Number]:
    if not isinstance(mapping, dict):
        return {}
    return {
        key: value
        for key, value in mapping.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
