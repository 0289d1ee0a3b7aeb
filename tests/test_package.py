from __future__ import annotations

import configparser
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")

HEAVY = (
    "array_api_compat",
    "numba",
    "numpy",
    "onnx",
    "optuna",
    "pandas",
    "plotly",
    "pydantic",
    "rich",
    "torch",
    "typer",
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(toolkit.__path__, "toolkit.")
    if not module.name.endswith("__main__")
)


def run_python(code: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return process.stdout.strip()


def requirements(extra: str | None = None) -> list[str]:
    text = (
        SETUP["options.extras_require"][extra] if extra else SETUP["options"]["install_requires"]
    )
    return [re.match(r"[\w.-]+", line)[0] for line in text.split()]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_import_loads_no_library() -> None:
    loaded = run_python("import sys, toolkit; print(*sys.modules)").split()
    assert not set(loaded) & set(HEAVY)


NEVER = {*HEAVY, "joblib", "networkx", "numpy.testing", "scipy"}
ALWAYS = {"pydantic", "typer"}
"""Typer reads its arguments by pydantic."""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["--version"], {"typer"}),
        (["list", "archs"], {*ALWAYS, "yaml"}),
        (["list", "workloads"], {*ALWAYS, "yaml"}),
        (["list", "strategies"], ALWAYS),
        (["map", "eyeriss", "8", "4", "2"], {*ALWAYS, "numpy", "rich", "yaml"}),
        (["map", "eyeriss", "8", "4", "2", "--json"], {*ALWAYS, "numpy", "yaml"}),
    ],
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_commands_load_what_they_need(words: list[str], loaded: set[str]) -> None:
    toolkit.warm_up()
    code = (
        "import sys; from toolkit.cli.app import main; status = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = set(process.stderr.split())
    assert not found & {*NEVER, "yaml"} - loaded
    commands = {name for name in found if name.startswith("toolkit.cli.")}
    others = {"toolkit.cli.compare", "toolkit.cli.network", "toolkit.cli.codesign"}
    assert not commands & others


def test_searching_loads_neither_torch_nor_optuna_nor_onnx() -> None:
    code = "import sys, toolkit; toolkit.map, toolkit.evaluate; print(*sys.modules)"
    assert not set(run_python(code).split()) & {"torch", "optuna", "onnx", "plotly", "pandas"}


@pytest.mark.parametrize("name", toolkit.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(toolkit, name) is not None
    assert name in dir(toolkit)


@pytest.mark.parametrize("name", toolkit.__all__)
def test_public_names_have_an_example(name: str) -> None:
    value = getattr(toolkit, name)
    if callable(value):
        assert ">>> " in (inspect.getdoc(value) or "")


def test_every_exported_name_is_public() -> None:
    lazy = {name for names in toolkit._HOMES.values() for name in names}
    assert sorted(toolkit.__all__) == sorted({*lazy, *toolkit._MODULES, "__version__"})


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="attribute evalute"):
        toolkit.evalute  # noqa: B018


def test_no_name_is_both_a_package_and_a_function() -> None:
    modules = {path.stem for path in (ROOT / "toolkit").iterdir()}
    assert modules & set(toolkit.__all__) == set(toolkit._MODULES)


def test_names_stay_functions_however_they_were_imported() -> None:
    """Importing a module binds its name in the package that it lies in."""
    everything = "".join(f"import {name}\n" for name in ("toolkit.search.registry", "toolkit.cli"))
    code = f"import toolkit\n{everything}print(callable(toolkit.map), callable(toolkit.search))"
    assert run_python(code) == "True False"


ELSEWHERE = ("toolkit.cli.site.building.build_docs",)
"""Whose examples run in `tests/cli/test_docs_site.py`, where the site is built."""


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.startswith("toolkit.fusion"):  # Up to 4 s for each layer, twice.
        from toolkit.fusion import MappedModel

        monkeypatch.setitem(MappedModel.__init__.__kwdefaults__, "proof_seconds", 0.0)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        assert not any(doctest.SKIP in example.options for example in test.examples)
        if test.name not in ELSEWHERE:
            runner.run(test)
    assert runner.failures == 0


def test_every_package_is_distributed() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "toolkit").rglob("__init__.py")
    }
    assert set(SETUP["options"]["packages"].split()) == folders | {"toolkit.archs", "toolkit.docs"}


def test_data_files_are_distributed() -> None:
    data = SETUP["options.package_data"]
    for folder, package in (("archs", "toolkit.archs"), ("toolkit/workload", "toolkit.workload")):
        suffixes = {path.suffix for path in (ROOT / folder).iterdir() if path.is_file()}
        assert {f"*{suffix}" for suffix in suffixes - {".py", ".pyc"}} == {data[package]}
    assert (ROOT / "toolkit" / data["toolkit"]).is_file()


def test_constraints_pin_every_requirement_exactly() -> None:
    pinned = {name.lower() for name in pins()}
    extras = [name for extra in SETUP["options.extras_require"] for name in requirements(extra)]
    assert {name.lower() for name in (*requirements(), *extras)} <= pinned
    assert pins()["torch"] == "2.13.0"
    assert all(re.fullmatch(r"[0-9.]+", version) for version in pins().values())


def test_readme_holds_the_commands_that_continuous_integration_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text().splitlines()
    wanted = re.findall(r'^readme_command "(.*?)"', script, flags=re.MULTILINE)
    commands = [[line for line in readme if words in line] for words in wanted]
    assert commands == [
        [
            "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' "
            "&& .venv/bin/pytest -n 2 tests"
        ],
        [
            "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt . "
            "&& .venv/bin/toolkit map eyeriss bert-large/KQV"
        ],
    ]


def test_continuous_integration_is_executable() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
