"""A profile of two models that take known times, made without waiting."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_parts import FakeClock, contestants_of, no_sensors, noise_sound
from support import write_tiny_model

from edge_ser.profiling.report import Profile
from edge_ser.profiling.session import SessionConfig, profile


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> Path:
    """A model file; the models of `profiled` only say that they are of it."""
    return write_tiny_model(tmp_path_factory.mktemp("profile") / "m.onnx")


@pytest.fixture(scope="session")
def profiled(model_path) -> Profile:
    """Two models: 10 ms, and once in 50 it is 100 ms; 4 and 6 ms in turns."""
    clock = FakeClock()
    contestants = contestants_of(clock, model_path, [10.0] * 49 + [100.0], [4.0, 6.0])
    request = SessionConfig(
        duration_s=19, n_cold_starts=1, budget_ms=8, percentile=95, detector=None
    )
    return profile(contestants, noise_sound(), request, clock=clock, sensors=no_sensors)
