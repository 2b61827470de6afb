"""Recordings with known levels, and small calibration sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import make_card

from edge_ser.corpora import Clip
from edge_ser.quantization.calibration_set import CalibrationClip, CalibrationSet

RATE = 16_000


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Clip]:
    """Write noise of so many seconds at a level, as a clip."""

    def write(
        name: str,
        seconds: float = 1.5,
        dbfs: float = -30.0,
        *,
        speaker: str = "?",
        emotion: str = "",
        rate: int = RATE,
        pause_s: float = 0.0,
    ) -> Clip:
        path = tmp_path / "recordings" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(list(name.encode()))
        samples = 10 ** (dbfs / 20) * rng.normal(size=round(seconds * rate))
        samples[: round(pause_s * rate)] = 0
        soundfile.write(path, samples, rate, subtype="FLOAT")
        who = f"site/{speaker}"
        return Clip(path, "site", who, emotion, emotion, None, f"site/{name}", None)

    return write


@pytest.fixture
def small_set() -> CalibrationSet:
    """Three windows for `support.make_card`."""
    card = make_card()
    shape = (3, card.frontend.n_features, card.frontend.n_frames(RATE))
    clips = tuple(
        CalibrationClip(f"{i}.wav", "site", f"site/{i}", "low", -30.25 - i, "ab" * 32, "soft", 0.25)
        for i in range(3)
    )
    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return CalibrationSet(card.frontend, card.window_s, clips, windows, 7, "own")
