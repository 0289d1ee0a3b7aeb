"""Proofs over hardware: the best point of a space, or how good any of it can be.

`search` tells how; `certificate` says what a proof consists of.
"""

from toolkit.codesign.exact.certificate import ClosedBox, HardwareProof, PointCost, TradeOff
from toolkit.codesign.exact.front import prove_front
from toolkit.codesign.exact.front_certificate import FrontProof, MissedBox
from toolkit.codesign.exact.question import Question
from toolkit.codesign.exact.search import Progress, prove_hardware

__all__ = [
    "ClosedBox",
    "FrontProof",
    "HardwareProof",
    "MissedBox",
    "PointCost",
    "Progress",
    "Question",
    "TradeOff",
    "prove_front",
    "prove_hardware",
]
