"""Every error that edge-ser raises on purpose.

A message says what came, what was wanted and what to do. The command line prints it on one
line and exits with `exit_code`; library users catch `EdgeSerError`.
"""

from __future__ import annotations


class EdgeSerError(Exception):
    """Base of all errors raised by edge-ser for input it cannot use."""

    exit_code = 1


class ConfigError(EdgeSerError):
    """An option, a setting or a combination of them that cannot work."""

    exit_code = 2


class AudioError(EdgeSerError):
    """Audio that cannot be read, or cannot be recognised (empty, silent, not finite)."""


class CorpusError(EdgeSerError):
    """A folder that is not the corpus it was said to be, or a clip whose name is not understood."""


class ModelError(EdgeSerError):
    """A model file that cannot be used: unreadable, without a ModelCard, or with a foreign one."""


class BaselineError(EdgeSerError):
    """A baseline of a voice or a site that cannot be made, read, or used with a model."""


class CalibrationError(EdgeSerError):
    """Calibration data that cannot be used."""


class EngineError(EdgeSerError):
    """A TensorRT engine that cannot be built, or must not be loaded."""


class EventError(EdgeSerError):
    """A line that is no event of the version that is read."""


class OutputError(EdgeSerError):
    """Results that cannot be written to where they should go."""


class TrainingError(EdgeSerError):
    """A training run that cannot start, continue or be exported."""


class LeakError(TrainingError):
    """What is tested stands in training too, and the protocol does not say so."""


class MissingDependency(EdgeSerError):
    """An optional package or a system library that this feature needs is not installed."""

    def __init__(self, needs: str, remedy: str) -> None:
        super().__init__(f"{needs} is needed for this and is not installed; {remedy}")


def missing_extra(package: str, extra: str) -> MissingDependency:
    """Return the error for a Python package that belongs to one of edge-ser's extras."""
    return MissingDependency(f"the package {package}", f"run: pip install 'edge-ser[{extra}]'")
