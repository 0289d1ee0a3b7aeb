"""What to build: hardware spaces, the least hardware that mappings need, and its evaluation."""

from toolkit.codesign.evaluation import HardwareCost, HardwareEvaluator, NetworkWeight
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.codesign.minimal import (
    MinimalHardware,
    Requirement,
    minimal_hardware,
    requirements,
)
from toolkit.codesign.scoring import Score, Scorer
from toolkit.codesign.space import HardwarePoint, HardwareSpace, hardware_space

__all__ = [
    "HardwareCost",
    "HardwareEvaluator",
    "HardwarePoint",
    "HardwareSpace",
    "Job",
    "JobSettings",
    "MinimalHardware",
    "NetworkWeight",
    "Requirement",
    "Score",
    "Scorer",
    "hardware_space",
    "make_job",
    "minimal_hardware",
    "requirements",
]
