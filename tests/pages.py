"""The README and the pages of documentation, taken apart into what can be run and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ANYTHING = "…"
"""In an output that a page shows: whatever stands there, over lines, too."""

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced part of a page.

    Parameters
    ----------
    language : str
        What stands behind the fence: ``sh``, ``python``, ``yaml`` or ``text``.
    text : str
        What is in it.
    shown : str or None
        The output that follows it, if one does with nothing in between.
    """

    language: str
    text: str
    shown: str | None = None

    def commands(self) -> list[str]:
        """Lines of a shell without comments, each command on one line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        found = (re.split(r"(?:^|\s+)# ", line)[0].strip() for line in lines)
        return [command for command in found if command]


def blocks(text: str) -> list[Block]:
    """Take a page apart.

    Examples
    --------
    >>> blocks("```sh\\nls\\n```\\n\\n```text\\na…\\n```\\nend")
    [Block(language='sh', text='ls\\n', shown='a…\\n')]
    """
    found = list(_FENCED.finditer(text))
    outputs = {
        i
        for i in range(1, len(found))
        if found[i][1] == "text"
        and found[i - 1][1] in ("sh", "python")
        and not text[found[i - 1].end() : found[i].start()].strip()
    }
    return [
        Block(match[1], match[2], found[i + 1][2] if i + 1 in outputs else None)
        for i, match in enumerate(found)
        if i not in outputs
    ]


def of_language(page: Path, language: str) -> Iterator[Block]:
    """Blocks of a page in one language."""
    return (block for block in blocks(page.read_text()) if block.language == language)


def agrees(shown: str, printed: str) -> bool:
    """Whether a program printed what a page shows, but for `ANYTHING` and blanks at ends.

    Examples
    --------
    >>> agrees("a … c\\n", "a b c  \\n"), agrees("a … d\\n", "a b c\\n")
    (True, False)
    """
    parts = [re.escape(part) for part in _trimmed(shown).split(ANYTHING)]
    return re.fullmatch(".*?".join(parts), _trimmed(printed), flags=re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
