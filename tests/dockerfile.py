"""The Dockerfile, carried out step by step in a folder that stands for the image.

Docker and its registry are not at hand everywhere. Paths of the image become paths of the folder,
its Python a virtual environment that sees the packages of this one, so that nothing is downloaded;
what else stands in the file runs as typed. A step that is not known here is a failure.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import toolkit
from toolkit.compilation import cache_folder

ROOT = Path(__file__).parent.parent
LEFT_OUT = "toolkit.search.compiled_check.count_seen.o"
"""What is compiled fastest: the only kernel that is not compiled already."""

PIP = '#!/bin/sh\nexec {python} -m pip "$@" --no-index --no-build-isolation --quiet\n'
USERADD = '#!/bin/sh\n[ $# = 2 ] && [ "$1" = --create-home ] && mkdir -p "{root}/home/$2"\n'


@dataclass
class Image:
    """What the steps so far have made."""

    root: Path
    workdir: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()

    def mapped(self, text: str) -> str:
        """Paths of the image as paths of the folder; no other path may be left."""
        found = re.sub(r"(?<![\w./])/(?=(?:src|home)\b)", f"{self.root}/", text)
        rest = found.replace(str(self.root), "")
        assert not re.search(r"(?<![\w./\]])/(?!src\b|home\b)", rest), f"unknown path: {text}"
        return found

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the image would."""
        return subprocess.run(
            command,
            cwd=self.workdir,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def from_(self, base: str) -> None:
        version = re.fullmatch(r"python:(3\.\d+)-slim", base)
        assert version is not None, base
        settings = configparser.ConfigParser()
        settings.read(ROOT / "setup.cfg")
        assert f"Python :: {version[1]}" in settings["metadata"]["classifiers"]
        place = self.root / "usr"
        venv.create(place, with_pip=False, symlinks=True)
        library = sysconfig.get_path("purelib", "venv", vars={"base": str(place)})
        Path(library, "builder.pth").write_text(sysconfig.get_path("purelib"))
        python = place / "bin" / "python"
        tools = {"pip": PIP.format(python=python), "useradd": USERADD.format(root=self.root)}
        for name, text in tools.items():
            tool = place / "bin" / name
            tool.write_text(text)
            tool.chmod(0o755)
        self.environment = {"PATH": f"{place / 'bin'}:/usr/bin:/bin", "HOME": str(self.root)}

    def copy(self, what: str) -> None:
        source, target = what.split()
        assert source == "."
        ignored = (ROOT / ".dockerignore").read_text().split()

        def left_out(folder: str, names: list[str]) -> set[str]:
            inside = Path(folder).relative_to(ROOT)
            return {
                name
                for name in names
                for pattern in ignored
                if fnmatch(str(inside / name), pattern)
                or (pattern.startswith("**/") and fnmatch(name, pattern[3:]))
            }

        shutil.copytree(ROOT, self.mapped(target), ignore=left_out)

    def run_step(self, command: str) -> None:
        if command == "toolkit warm-up":
            self.take_over_compiled()
        done = self.run("sh", "-c", self.mapped(command))
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def take_over_compiled(self) -> None:
        """Compiling everything takes a minute: the builder has done all but one kernel."""
        toolkit.warm_up()
        kept = cache_folder()
        target = Path(self.environment["HOME"], ".cache", kept.parent.name, kept.name)
        shutil.copytree(kept, target)
        (target / LEFT_OUT).unlink()

    def user(self, name: str) -> None:
        home = self.root / "home" / name
        assert home.is_dir(), f"no user {name}"
        self.environment["HOME"] = str(home)

    def set_workdir(self, path: str) -> None:
        self.workdir = Path(self.mapped(path))
        self.workdir.mkdir(exist_ok=True)

    def set_entrypoint(self, words: str) -> None:
        self.entrypoint = tuple(json.loads(words))


STEPS = {
    "FROM": Image.from_,
    "COPY": Image.copy,
    "RUN": Image.run_step,
    "USER": Image.user,
    "WORKDIR": Image.set_workdir,
    "ENTRYPOINT": Image.set_entrypoint,
}


def steps(text: str) -> list[tuple[str, str]]:
    """Instructions and what follows them."""
    lines = [x for x in text.replace("\\\n", " ").splitlines() if x and not x.startswith("#")]
    return [(word, " ".join(rest)) for word, *rest in (line.split() for line in lines)]


def carried_out(root: Path) -> Image:
    """Carry out the whole file, from an empty folder on."""
    made = Image(root, root)
    for word, rest in steps((ROOT / "Dockerfile").read_text()):
        assert word in STEPS, f"{word} {rest}: no such step is known here"
        STEPS[word](made, rest)
    return made
