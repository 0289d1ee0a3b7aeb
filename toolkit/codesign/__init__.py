"""What to build: hardware spaces, the least hardware that mappings need, and its evaluation."""

from toolkit.codesign.evaluation import HardwareCost, HardwareEvaluator, NetworkWeight
from toolkit.codesign.minimal import (
    MinimalHardware,
    Requirement,
    minimal_hardware,
    requirements,
)
from toolkit.codesign.space import HardwarePoint, HardwareSpace, hardware_space

__all__ = [
    "HardwareCost",
    "HardwareEvaluator",
    "HardwarePoint",
    "HardwareSpace",
    "MinimalHardware",
    "NetworkWeight",
    "Requirement",
    "hardware_space",
    "minimal_hardware",
    "requirements",
]
