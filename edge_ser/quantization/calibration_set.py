"""Calibration sets: feature windows of real speech, for the activation ranges of INT8.

A set is a folder of two files: `windows.npz` holds the windows, `manifest.json` the origin of each, the
front end, the licence and a digest over all of it. It holds no audio, so that an INT8 model can be
rebuilt without the corpora.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import read_json, replacing, write_text
from edge_ser._util.records import build, require
from edge_ser.card import FrontendConfig, ModelCard
from edge_ser.errors import CalibrationError, ConfigError

Float32 = NDArray[np.float32]

MANIFEST = "manifest.json"
WINDOWS = "windows.npz"
KIND = "edge-ser calibration set"
SCHEMA = 1

SETS = ("default", "commercial")
"""Names of the sets of the models `bundled` and `bundled-commercial`."""

PLACES = (
    Path(__file__).resolve().parents[1] / "assets" / "calibration",
    Path(__file__).resolve().parents[2] / "calibration",
)
"""Folders of the sets: in an installed package, and in the repository."""

_REMEDY = "make the set again with `edge-ser calibrate select`"
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, SyntaxError, tokenize.TokenError),
)
"""Exceptions of NumPy and zipfile for damaged files."""


@dataclass(frozen=True)
class CalibrationClip:
    """Origin of one window."""

    name: str
    """File name without the folder."""
    corpus: str
    speaker: str
    """As in `Clip.speaker`."""
    emotion: str
    """Empty without a label."""
    level_dbfs: float
    """RMS level of the window, in dB of full scale."""
    sha256: str
    """Digest of the file."""
    level: str = ""
    """`soft`, `middle` or `loud`: third of the candidate windows by level."""
    start_s: float = 0.0
    """Start of the window in the file, in seconds."""


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Feature windows as the runtime cuts them, with the origin of each.

    Raises:
        CalibrationError: no windows, windows that do not have the shape of the front end's output,
            or values that are not finite.
    """

    frontend: FrontendConfig
    window_s: float
    """Seconds of audio in a window."""
    clips: tuple[CalibrationClip, ...]
    """The origin of each window."""
    windows: Float32
    """Features [n_windows, n_features, n_frames]."""
    seed: int
    """Seed of the selection."""
    licence: str
    """Terms of the recordings, which also apply to the windows."""

    def __post_init__(self) -> None:
        if not self.clips:
            raise CalibrationError(
                f"expected a calibration set of at least one window, got none; {_REMEDY}"
            )
        expected = (len(self.clips), *_shape(self.frontend, self.window_s))
        if self.windows.shape != expected or self.windows.dtype != np.float32:
            raise CalibrationError(
                f"expected windows of float32 {list(expected)} for the clips and the front end, got "
                f"{self.windows.dtype} {list(self.windows.shape)}; {_REMEDY}"
            )
        pairs = zip(self.clips, self.windows, strict=True)
        if bad := [clip.name for clip, window in pairs if not np.isfinite(window).all()]:
            raise CalibrationError(
                f"{len(bad)} of {len(self.clips)} windows hold NaN or infinity, the first of "
                f"{bad[0]}; leave that recording out, and {_REMEDY}"
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the front end, the windows and their metadata."""
        digest = hashlib.sha256(json.dumps(self._facts(), sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.windows, dtype="<f4").tobytes())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write `windows.npz`, then `manifest.json`; the set is valid only with both.

        Raises:
            ConfigError: the folder cannot be written.
        """
        with replacing(folder / WINDOWS) as temporary:
            np.savez_compressed(temporary, windows=self.windows)
        facts = {"kind": KIND, "schema": SCHEMA, "digest": self.digest, **self._facts()}
        write_text(folder / MANIFEST, json.dumps(facts, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> CalibrationSet:
        """Read what `save` wrote.

        Raises:
            CalibrationError: not a calibration set, damaged, changed since it was made, or invalid.
        """
        manifest = _read_manifest(folder / MANIFEST)
        loaded = cls(
            frontend=manifest.frontend,
            window_s=manifest.window_s,
            clips=manifest.clips,
            windows=_read_windows(folder / WINDOWS),
            seed=manifest.seed,
            licence=manifest.licence,
        )
        if loaded.digest != manifest.digest:
            raise CalibrationError(
                f"{folder} was changed since it was made: expected digest {manifest.digest[:12]}… of "
                f"its manifest, got {loaded.digest[:12]}…; restore both files, or {_REMEDY}"
            )
        return loaded

    def require(self, card: ModelCard) -> None:
        """Raise if the model has another front end or another window.

        Raises:
            CalibrationError: names both values of each difference.
        """
        ours, theirs = dataclasses.asdict(self.frontend), dataclasses.asdict(card.frontend)
        differing = [
            f"{name} is {ours[name]} in the set and {theirs[name]} in the model"
            for name in ours
            if ours[name] != theirs[name]
        ]
        shape, expected = self.windows.shape[1:], _shape(card.frontend, card.window_s)
        if shape != expected:
            differing.append(
                f"a window is {list(shape)} ({self.window_s:g} s) in the set and {list(expected)} "
                f"({card.window_s:g} s) in the model"
            )
        if differing:
            raise CalibrationError(
                f"the calibration set does not fit {card.name}: {', '.join(differing)}; make one "
                "for this model: edge-ser calibrate select --model FILE"
            )

    def _facts(self) -> dict[str, Any]:
        return {
            "frontend": dataclasses.asdict(self.frontend),
            "window_s": self.window_s,
            "seed": self.seed,
            "licence": self.licence,
            "clips": [dataclasses.asdict(clip) for clip in self.clips],
        }


def default_calibration() -> Path:
    """Return the folder of the set for the bundled model; errors as `bundled_calibration`."""
    return bundled_calibration("default")


def bundled_calibration(name: str) -> Path:
    """Return the folder of a set that ships with edge-ser.

    Args:
        name: one of `SETS`.

    Raises:
        ConfigError: an unknown name.
        CalibrationError: the set is missing.
    """
    if name not in SETS:
        raise ConfigError(
            f"expected the name of a calibration set ({', '.join(SETS)}), got {name!r}"
        )
    for folder in PLACES:
        if (folder / name / MANIFEST).is_file():
            return folder / name
    raise CalibrationError(
        f"the calibration set {name} is not in {' or '.join(map(str, PLACES))}; give the folder of "
        "another set, or make one from recordings: edge-ser calibrate select --wav FOLDER --out FOLDER"
    )


@dataclass(frozen=True)
class _Manifest:
    """Content of `manifest.json`."""

    kind: str
    schema: int
    digest: str
    frontend: FrontendConfig
    window_s: float
    seed: int
    licence: str
    clips: tuple[CalibrationClip, ...]

    def __post_init__(self) -> None:
        require(self.kind == KIND, "kind", self.kind, KIND)
        require(self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}, of this version")
        require(0 < self.window_s <= 60, "window_s", self.window_s, "above 0, at most 60 s")


def _shape(frontend: FrontendConfig, window_s: float) -> tuple[int, int]:
    """Return the shape of a window, [n_features, n_frames]."""
    return frontend.n_features, frontend.n_frames(round(window_s * frontend.sample_rate))


def _read_manifest(path: Path) -> _Manifest:
    if not path.exists():
        raise CalibrationError(
            f"{path.parent} is not a calibration set: it has no {path.name}; give a folder that "
            "`edge-ser calibrate select` wrote"
        )
    try:
        data = read_json(path)
    except ConfigError as error:
        raise CalibrationError(f"{path} cannot be read ({error}); {_REMEDY}") from None
    if not isinstance(data, Mapping) or data.get("kind") != KIND:
        raise CalibrationError(
            f"{path} is not the manifest of a calibration set (its kind is not {KIND!r}); give a "
            "folder that `edge-ser calibrate select` wrote"
        )
    try:
        return build(_Manifest, data, str(path))
    except ConfigError as error:
        raise CalibrationError(f"{path} is damaged: {error}; {_REMEDY}") from None


def _read_windows(path: Path) -> Float32:
    try:
        # Opened here, because np.load does not close a file that is not an archive.
        with path.open("rb") as file:
            return np.asarray(np.load(file, allow_pickle=False)["windows"])
    except _UNREADABLE as error:
        raise CalibrationError(f"{path} cannot be read ({error}); {_REMEDY}") from None
