"""Packages that only some uses need: what is loaded late, and how to install what lacks."""

from __future__ import annotations

import importlib
from typing import Any

from toolkit.errors import MissingPackageError


def missing(user: str, package: str, extra: str, key: str | None = None) -> MissingPackageError:
    """Make the error that says how to install a package.

    Parameters
    ----------
    user : str
        What needs it.
    package : str
        Its name.
    extra : str
        The extra of this distribution that installs it.
    key : str, optional
        The argument that asks for it.

    Examples
    --------
    >>> print(missing("the dashboard", "optuna-dashboard", "dashboard"))
    the dashboard needs optuna-dashboard, which is not installed; pip install \
'accel-search-toolkit[dashboard]'
    """
    return MissingPackageError(
        f"{user} needs {package}, which is not installed; "
        f"pip install 'accel-search-toolkit[{extra}]'",
        key=key,
    )


def load(home: str, user: str, extra: str, key: str) -> Any:
    """Import a function when it is first used.

    Parameters
    ----------
    home : str
        ``module:function``.
    user, extra, key : str
        As `missing` takes them.

    Raises
    ------
    MissingPackageError
        If a package that the module imports is not installed.
    """
    module, _, function = home.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as cause:
        raise missing(user, str(cause.name), extra, key) from cause
