"""What is handed out: versions agree, and the wheel has all that the package reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from dockerfile import Image, carried_out, steps

import toolkit

ROOT = Path(__file__).parent.parent
PARTS = ("toolkit", "archs", "docs", "README.md", "LICENSE", "setup.cfg", "pyproject.toml")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile makes, which installs this package."""
    return carried_out(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def installed(image: Image) -> set[str]:
    """Files of the wheel, by their paths within the environment."""
    (record,) = image.root.glob("usr/lib/python*/site-packages/accel_search_toolkit-*/RECORD")
    place = record.parents[1]
    files = (place / line.partition(",")[0] for line in record.read_text().splitlines())
    return {os.path.relpath(path, place) for path in files if path.suffix != ".pyc"}


def test_the_wheel_holds_the_package_and_nothing_else(installed: set[str]) -> None:
    outside = {name for name in installed if not name.startswith("toolkit/")}
    described = f"accel_search_toolkit-{toolkit.__version__}.dist-info/"
    assert {name for name in outside if not name.startswith(described)} == {
        "../../../bin/toolkit",
        "../../../share/man/man1/toolkit.1",
    }
    for folder, inside in (("archs", "toolkit/archs"), ("docs", "toolkit/docs")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".yaml", ".md", ".svg", ".ipynb"):
                assert f"{inside}/{path.relative_to(ROOT / folder)}" in installed
    for name in ("py.typed", "cli/site/mkdocs.yml", "cli/site/iframe-worker.js"):
        assert f"toolkit/{name}" in installed


def test_sources_that_are_handed_out_make_the_same(installed: set[str], tmp_path: Path) -> None:
    pytest.importorskip("build", reason="build is not installed")
    source = tmp_path / "source"
    source.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", ".", "."]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = source.glob("*.tar.gz")
    release = f"accel_search_toolkit-{toolkit.__version__}"
    assert made.name == f"{release}.tar.gz"
    with tarfile.open(made) as archive:
        held = {name.removeprefix(f"{release}/") for name in archive.getnames()}
    needed = {name for name in installed if name.startswith("toolkit/")}
    moved = {re.sub("^toolkit/(?=archs/|docs/)", "", name) for name in needed}
    assert moved | {"docs/toolkit.1", "pyproject.toml", "setup.cfg", "LICENSE"} <= held


def test_what_is_installed_works_without_the_repository(image: Image) -> None:
    assert not (image.root / "src").exists()
    code = (
        "import toolkit; from toolkit.cli.site.building import PACKAGE, _text, pages_folder;"
        "assert 'eyeriss' in toolkit.arch_names(), toolkit.arch_names();"
        "assert pages_folder() == PACKAGE / 'docs', pages_folder();"
        "assert _text('README.md').startswith('# accel-search-toolkit');"
        "print(toolkit.__file__)"
    )
    done = image.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(image.root / "usr")


def test_versions_agree() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == toolkit.__version__
    newest = re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == toolkit.__version__


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_release_files_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text()):
        assert "://" in target or (ROOT / target).exists(), target


def test_the_image_starts_warm(image: Image) -> None:
    done = image.run(*image.entrypoint, "warm-up", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert Path(found["folder"]).is_relative_to(image.root / "home" / "toolkit")
    assert len(found["kernels"]) > 1
    assert all(kernel["was_there"] for kernel in found["kernels"])


def test_the_image_is_the_command(image: Image) -> None:
    done = image.run(*image.entrypoint, "--version")
    assert (done.returncode, done.stdout) == (0, f"{toolkit.__version__}\n")


@pytest.mark.parametrize("command", ["rm -rf /etc", "pip install '/work[study]'", "cp x /"])
def test_paths_that_are_unknown_are_not_touched(tmp_path: Path, command: str) -> None:
    with pytest.raises(AssertionError, match="unknown path"):
        Image(tmp_path, tmp_path).mapped(command)


def test_words_of_the_file_are_taken_apart() -> None:
    assert steps("# a\nFROM x\nRUN a && \\\n  b\n") == [("FROM", "x"), ("RUN", "a && b")]
