"""The manual page: what the help says, in roff that is read without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.cli.app import COMMANDS, Commands
from toolkit.cli.site.manual import manual_page

PAGE = Path(__file__).parents[2] / "docs" / "toolkit.1"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_help_says() -> None:
    again = "python -m toolkit.cli.site.manual docs/toolkit.1"
    assert manual_page() == TEXT, f"write it anew: {again}"


@pytest.mark.parametrize("name", COMMANDS)
def test_readers_find_every_option_and_example(name: str) -> None:
    sections = TEXT.replace("\\-", "-").split("\n.S")
    (section,) = (text for text in sections if re.match(rf"S toolkit {name}\s", text))
    for parameter in Commands()[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert f"\\fB{parameter.opts[-1]}\\fR" in section
    assert section.count("\ntoolkit ") == COMMANDS[name].epilog.count("\n\ntoolkit ")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_it_is_read_without_a_warning() -> None:
    command = ["groff", "-k", "-man", "-ww", "-Tutf8", str(PAGE)]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    assert read.stderr == ""
    plain = re.sub("\x1b\\[[0-9;]*m|.\x08", "", read.stdout)
    assert "toolkit map eyeriss bert-large/KQV" in plain
    assert "[ARGUMENTS] [OPTIONS]" in plain
