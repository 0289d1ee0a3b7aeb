"""How far are our components from what their sources publish?

    python studies/technology_points.py

The first rows are points that the technology is made of and must meet; the last ones, with an
asterisk, were made with other circuits, and show how far two publications lie apart.
"""

from __future__ import annotations

import pandas as pd

from toolkit import Technology

KIB = 8192

Point = tuple[str, str, float, float]


def made_of() -> list[Point]:
    """Component, source, published and our figure."""
    points: list[Point] = []
    sram = ((45, 25.87, 19.65, 0.209, 1.66), (40, 20.87, 16.23, 0.177, 1.55))
    for node, read, write, area, access in (*sram, (22, 5.67, 4.43, 0.0586, 0.98)):
        ours, name = Technology(node).sram(64 * KIB, 64), f"{node} nm, 64 KiB SRAM, 64-bit port"
        points += [
            (f"{name}, read pJ", "CACTI", read, ours.read_energy_pj),
            (f"{name}, write pJ", "CACTI", write, ours.write_energy_pj),
            (f"{name}, mm^2", "CACTI", area, ours.area_um2 / 1e6),
            (f"{name}, access ns", "CACTI", access, ours.access_ns or 0.0),
        ]
    for node, energy, area, leakage in (
        (45, 1.154, 986, 8.5),
        (40, 1.003, 675, 7.4),
        (22, 0.339, 247, 2.5),
    ):
        mac, name = Technology(node).mac(8, 32), f"{node} nm, 8-bit MAC, 32-bit sum"
        points += [
            (f"{name}, pJ", "Aladdin", energy, mac.energy_pj),
            (f"{name}, um^2", "Aladdin", area, mac.area_um2),
            (f"{name}, leaks uW", "Aladdin", leakage, mac.leakage_uw),
        ]
    for words, energy in ((24, 0.69), (384, 1.97)):
        ours_pj = Technology(65).register_file(words, 16).read_energy_pj
        points.append((f"65 nm, {words} registers of 16 bits, pJ", "FactorFlow", energy, ours_pj))
    horowitz = Technology(45, operators="horowitz")
    for bits, kind, energy in ((8, "integer", 0.23), (32, "integer", 3.2), (16, "float", 1.5)):
        ours_pj = horowitz.mac(bits, bits, f"{kind}-mac").energy_pj
        points.append((f"45 nm, {bits}-bit {kind} MAC, pJ", "Horowitz", energy, ours_pj))
    return points


def others() -> list[Point]:
    """The same, of publications that the technology is not made of."""
    points: list[Point] = []
    for kib, energy in ((8, 10), (32, 20), (1024, 100)):
        ours = Technology(45).sram(kib * KIB, 64).read_energy_pj
        points.append((f"* 45 nm, {kib} KiB cache, 64-bit read, pJ", "Horowitz", energy, ours))
    for kib in (64, 128, 256):
        ours = Technology(40).sram(kib * KIB, 256).read_energy_pj / 32
        dosa = 0.49 + 0.02513 * kib
        points.append((f"* 40 nm, {kib} KiB scratchpad, a byte, pJ", "DOSA", dosa, ours))
    points.append(("* 40 nm, 8-bit MAC, pJ", "DOSA", 0.5608, Technology(40).mac(8).energy_pj))
    register = Technology(40).register_file(1, 8).read_energy_pj
    points.append(("* 40 nm, 8-bit register, pJ", "DOSA", 0.48746, register))
    return points


if __name__ == "__main__":
    table = pd.DataFrame(made_of() + others(), columns=["figure", "source", "published", "ours"])
    table["ours/published"] = table["ours"] / table["published"]
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
