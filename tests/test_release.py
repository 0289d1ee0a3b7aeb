"""What is handed out: versions agree, and the wheel has all that the package reads."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import toolkit

ROOT = Path(__file__).parent.parent
PARTS = ("toolkit", "archs", "docs", "README.md", "LICENSE", "setup.cfg", "pyproject.toml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a source distribution, as `python -m build` does it, by what is installed."""
    pytest.importorskip("build", reason="build is not installed")
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    assert [path.name for path in folder.glob("*.tar.gz")] == [
        f"accel_search_toolkit-{toolkit.__version__}.tar.gz"
    ]
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "toolkit",
        f"accel_search_toolkit-{toolkit.__version__}.dist-info",
    }
    for folder, inside in (("archs", "toolkit/archs"), ("docs", "toolkit/docs")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".yaml", ".md", ".svg"):
                assert f"{inside}/{path.relative_to(ROOT / folder)}" in names
    for name in ("py.typed", "cli/site/mkdocs.yml", "cli/site/iframe-worker.js"):
        assert f"toolkit/{name}" in names


def test_what_is_unpacked_works_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import toolkit; from toolkit.cli.site.building import PACKAGE, _text, pages_folder;"
        "assert 'eyeriss' in toolkit.arch_names(), toolkit.arch_names();"
        "assert pages_folder() == PACKAGE / 'docs', pages_folder();"
        "assert _text('README.md').startswith('# accel-search-toolkit');"
        "print(toolkit.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == str(tmp_path / "toolkit" / "__init__.py")


def test_versions_agree() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == toolkit.__version__
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == toolkit.__version__


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_release_files_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text()):
        assert "://" in target or (ROOT / target).exists(), target


def test_the_image_installs_what_there_is() -> None:
    """Docker is not at hand everywhere: what its steps name is there, and runs in other tests."""
    steps = (ROOT / "Dockerfile").read_text()
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    (extra,) = re.findall(r"/src\[(\w+)\]", steps)
    assert extra in settings["options.extras_require"]
    version = re.search(r"FROM python:([\d.]+)", steps)
    assert version is not None
    assert f"Python :: {version[1]}" in settings["metadata"]["classifiers"]
    assert "RUN toolkit warm-up" in steps
