"""Models of a profile: loading, names, and precision records of their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import EdgeSerError
from edge_ser.inference.base import Runner
from edge_ser.inference.loader import open_runner
from edge_ser.inference.onnxruntime import OnnxRunner
from edge_ser.machine.process import memory
from edge_ser.precision import KEY, Precision
from edge_ser.tensorrt.manifest import EngineManifest, manifest_path


@dataclass(frozen=True)
class ProfiledModel:
    """Model file that is open on a device."""

    name: str
    """Name that is unique within the profile."""
    path: Path
    device: str
    """Requested device, one of `inference.loader.DEVICES`."""
    runner: Runner
    loaded_bytes: int
    """Memory that the process took to load it; for the first model including libraries."""
    precision: Precision | None
    """Precision record of the file; None if it has none."""


def open_models(
    paths: Sequence[Path], devices: Sequence[str], threads: int
) -> tuple[ProfiledModel, ...]:
    """Open each model on each device; the caller closes their runners.

    Raises:
        ModelError, EngineError, ConfigError, MissingDependency: see `open_runner`; all runners are
            closed then.
    """
    opened: list[ProfiledModel] = []
    names = _names(paths, devices)
    try:
        for (path, device), name in names.items():
            before = memory().rss_bytes
            runner = open_runner(path, threads, device)
            loaded = memory().rss_bytes - before
            opened.append(
                ProfiledModel(name, path, device, runner, loaded, _precision(path, runner))
            )
    except BaseException:
        for model in opened:
            model.runner.close()
        raise
    return tuple(opened)


def _names(paths: Sequence[Path], devices: Sequence[str]) -> dict[tuple[Path, str], str]:
    """Return short, unique names of all pairs, in the order in which they are measured."""
    files = [path.name for path in paths]
    named = {}
    for path in paths:
        short = path.name if files.count(path.name) == 1 else str(path)
        for device in devices:
            named[path, device] = short if len(set(devices)) == 1 else f"{short} on {device}"
    return named


def _precision(path: Path, runner: Runner) -> Precision | None:
    try:
        if isinstance(runner, OnnxRunner):
            text = runner.metadata.get(KEY)
            return None if text is None else Precision.from_json(text)
        return EngineManifest.from_json(manifest_path(path).read_text("utf-8")).precision
    except (EdgeSerError, OSError):
        return None
