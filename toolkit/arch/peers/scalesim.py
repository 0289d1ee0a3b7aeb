"""SCALE-Sim's configurations as architectures; FORMATS.md says what carries over.

A systolic array between three buffers: each operand has one, and one of them stays in the array.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping

from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.arch.parameters import complete_settings
from toolkit.arch.peers.estimates import MAC_PJ, estimated_pj
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, shown_path, suggest
from toolkit.text_files import decode, read_bytes
from toolkit.workload.kernel import ROLES

PARAMETERS = {"default_energies": 0}
"""The consent to estimated energies: SCALE-Sim has none."""

_ARRAY = "architecture_presets"
_BUFFERS = {"input": "IfmapSramSzkB", "weight": "FilterSramSzkB", "output": "OfmapSramSzkB"}
# What runs along rows and columns, as dimensions of convolutions and products, and what stays.
_WINDOW, _PIXELS, _FILTERS = ("C", "R", "S", "K"), ("P", "Q", "N"), ("M",)
_DATAFLOWS = {
    "ws": (_WINDOW, _FILTERS, "weight"),
    "os": (_PIXELS, _FILTERS, "output"),
    "is": (_WINDOW, _PIXELS, "input"),
}


def scalesim_architecture(path: str, given: Mapping[str, object]) -> dict[str, object]:
    """Read a configuration as the plain data of a file of ours.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    config = _Config(path)
    if not complete_settings(given, PARAMETERS, config.source)["default_energies"]:
        raise ArchitectureError(
            "SCALE-Sim's configurations give no energies; accept estimates with the parameter "
            "default_energies=1",
            source=config.source,
        )
    dataflow = config.word("Dataflow", tuple(_DATAFLOWS))
    rows, columns, kept = _DATAFLOWS[dataflow]
    height, width = config.integer("ArrayHeight"), config.integer("ArrayWidth")
    # What enters along the rows, and what along the columns.
    edges = {"input": height, "weight": width, "output": width}
    off_chip = _off_chip_words_per_cycle(config)
    levels: list[dict[str, object]] = [
        {
            "memory": "DRAM",
            "capacity_words": "unlimited",
            "access_energy_pj": estimated_pj(None, 8),
            # Inputs and weights have an interface each, outputs one.
            "read_bandwidth_words_per_cycle": min(2 * off_chip, UNLIMITED_BANDWIDTH),
            "write_bandwidth_words_per_cycle": off_chip,
        }
    ]
    for role, key in _BUFFERS.items():
        words = config.integer(key) * 1024
        levels.append(
            {
                "memory": key.removesuffix("SzkB"),
                "capacity_words": words,
                "multiple_buffering": 2.0,
                "access_energy_pj": estimated_pj(words, 8),
                "bandwidth_words_per_cycle": 2.0 * edges[role],
                "bypasses": [other for other in ROLES if other != role],
            }
        )
    levels += [
        _axis("Rows", height, rows),
        _axis("Columns", width, columns),
        {
            "memory": "Register",
            "capacity_words": 1,
            "access_energy_pj": estimated_pj(1, 8),
            "bandwidth_words_per_cycle": 4.0,
            "bypasses": [role for role in ROLES if role != kept],
        },
        {"compute": "MAC", "mac_energy_pj": MAC_PJ},
    ]
    return {
        "name": config.name,
        "description": f"read from SCALE-Sim's configuration, {dataflow}; energies are estimates",
        "levels": levels,
    }


def _axis(name: str, mesh: int, dimensions: tuple[str, ...]) -> dict[str, object]:
    others = [word for word in (*_WINDOW, *_PIXELS, *_FILTERS, "G") if word not in dimensions]
    return {
        "fanout": name,
        "mesh": mesh,
        "dimensions": list(dimensions),
        "pe_to_pe": True,
        # Said although they follow, so that the design names every dimension it knows of.
        "constraints": [f"{word} == 1" for word in others],
    }


def _off_chip_words_per_cycle(config: _Config) -> float:
    """Words per cycle of an interface; none limits it where SCALE-Sim computes what is needed."""
    mode = config.section("run_presets").get("interfacebandwidth", "CALC").strip().upper()
    if mode == "CALC":
        return UNLIMITED_BANDWIDTH
    if mode != "USER":
        raise ArchitectureError(
            f"expected CALC or USER, got {describe(mode)}",
            source=config.source,
            key="run_presets.InterfaceBandwidth",
        )
    return float(config.integer("Bandwidth"))


class _Config:
    """The file, with the messages for mistakes in it."""

    def __init__(self, path: str) -> None:
        self.source = shown_path(path)
        text = decode(read_bytes(path, ArchitectureError), self.source, ArchitectureError)
        self._parser = configparser.ConfigParser(interpolation=None, strict=True)
        try:
            self._parser.read_string(text, source=self.source)
        except configparser.Error as cause:
            reason = " ".join(str(cause).split())
            raise ArchitectureError(f"not a configuration: {reason}", source=self.source) from None
        stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        self.name = self.section("general", required=False).get("run_name", stem).strip() or stem

    def section(self, name: str, *, required: bool = True) -> Mapping[str, str]:
        if self._parser.has_section(name):
            return self._parser[name]
        if not required:
            return {}
        raise ArchitectureError(
            f"expected a section [{name}], as SCALE-Sim's configurations have", source=self.source
        )

    def _text(self, key: str) -> str:
        values = self.section(_ARRAY)
        if key.casefold() not in values:
            raise ArchitectureError(
                f"this key is required and missing{suggest(key, values)}",
                source=self.source,
                key=f"{_ARRAY}.{key}",
            )
        return values[key.casefold()].strip()

    def integer(self, key: str) -> int:
        text = self._text(key)
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
            raise ArchitectureError(
                f"expected an integer from 1, got {describe(text)}",
                source=self.source,
                key=f"{_ARRAY}.{key}",
            )
        return int(text)

    def word(self, key: str, known: tuple[str, ...]) -> str:
        text = self._text(key).lower()
        if text not in known:
            raise ArchitectureError(
                f"expected one of {', '.join(known)}, got {describe(text)}",
                source=self.source,
                key=f"{_ARRAY}.{key}",
            )
        return text
