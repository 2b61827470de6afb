"""Exceptions of edge-ser.

A message states what was expected, what was given and what to do. The command line prints it on one
line and exits with `exit_code`; library users catch `EdgeSerError`.
"""

from __future__ import annotations


class EdgeSerError(Exception):
    """Base of all errors that edge-ser raises for invalid input."""

    exit_code = 1


class ConfigError(EdgeSerError):
    """Invalid option, setting or combination of them."""

    exit_code = 2


class AudioError(EdgeSerError):
    """Audio that cannot be read or recognised (empty, silent, not finite)."""


class CorpusError(EdgeSerError):
    """Folder that does not hold the expected corpus, or a clip with an invalid name."""


class ModelError(EdgeSerError):
    """Model file that cannot be used: unreadable, without a ModelCard, or with an invalid one."""


class BaselineError(EdgeSerError):
    """Baseline of a voice or a site that cannot be made, read, or used with a model."""


class CalibrationError(EdgeSerError):
    """Calibration data that cannot be used."""


class EngineError(EdgeSerError):
    """TensorRT engine that cannot be built, or must not be loaded."""


class EventError(EdgeSerError):
    """Line that is not an event of a supported version."""


class OutputError(EdgeSerError):
    """Results that cannot be written."""


class TrainingError(EdgeSerError):
    """Training run that cannot start, continue or be exported."""


class LeakError(TrainingError):
    """Overlap of test and training data that the protocol does not declare."""


class MissingDependency(EdgeSerError):
    """Optional package or system library that a feature needs and that is not installed."""

    def __init__(self, needs: str, remedy: str) -> None:
        super().__init__(f"{needs} is needed for this and is not installed; {remedy}")


def missing_extra(package: str, extra: str) -> MissingDependency:
    """Return the error for a Python package that belongs to one of edge-ser's extras."""
    return MissingDependency(f"the package {package}", f"run: pip install 'edge-ser[{extra}]'")
