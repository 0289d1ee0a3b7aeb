"""Packages that only some uses need: what is loaded late, and how to install what lacks."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from toolkit.errors import MissingPackageError

Function = TypeVar("Function")


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


@dataclass(frozen=True, slots=True)
class LateEntry(Generic[Function]):
    """A row of a table of strategies, whose function is loaded when it is first used.

    Tables stay cheap to import, and to list, whatever their strategies need.

    Parameters
    ----------
    home : str
        ``module:function``.
    summary : str
        One line on how it searches.
    extra : str
        The extra of this distribution that installs what it needs; empty for none.
    packages : tuple of str
        What it needs besides the imports of its module, because others import it late.
    """

    home: str
    summary: str
    extra: str = field(default="", kw_only=True)
    packages: tuple[str, ...] = field(default=(), kw_only=True)

    key: ClassVar[str] = "strategy"
    """The argument that asks for a row, for messages."""

    def load(self) -> Function:
        """Import the strategy.

        Raises
        ------
        MissingPackageError
            If a package that it needs is not installed.
        """
        function: Function = load(self.home, "this strategy", self.extra, self.key, self.packages)
        return function


def load(home: str, user: str, extra: str, key: str, packages: Iterable[str] = ()) -> Any:
    """Import a function when it is first used.

    Parameters
    ----------
    home : str
        ``module:function``.
    user, extra, key : str
        As `missing` takes them.
    packages : iterable of str
        What has to be there besides.

    Raises
    ------
    MissingPackageError
        If one of them, or a package that the module imports, is not installed.
    """
    module, _, function = home.partition(":")
    try:
        for package in packages:
            importlib.import_module(package)
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as cause:
        raise missing(user, str(cause.name), extra, key) from cause
