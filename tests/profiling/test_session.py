"""A whole profile, and its record."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from power_parts import SimulatedSensor, sensors_of
from profile_parts import MS, FakeClock, FakeEngine, contestants_of, no_sensors, noise_sound

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import Idle
from edge_ser.errors import AudioError, ConfigError, ModelError
from edge_ser.profiling.models import ProfiledModel, open_models
from edge_ser.profiling.report import SCHEMA, Profile
from edge_ser.profiling.session import SessionConfig, profile


def test_the_figures_are_those_that_were_put_in(profiled):
    a, b = profiled.models
    assert (a.computed.p50_ms, a.computed.p90_ms, a.computed.max_ms) == (10, 10, 100)
    assert a.computed.mean_ms == pytest.approx(11.8, rel=0.02)
    assert (b.computed.p50_ms, b.computed.p99_ms) == (pytest.approx(5, abs=1), 6)
    assert b.computed.jitter_ms == pytest.approx(2, rel=0.01)
    assert a.stages["inference"] == a.computed
    assert a.windows_per_s == pytest.approx(1000 / 11.8, rel=0.02)
    assert a.rtf == pytest.approx(0.0118 / 0.25, rel=0.02)
    assert a.per_hop_ms["inference"] == pytest.approx(11.8, rel=0.02)
    assert a.overhead is not None
    assert a.overhead.added_ms == 0
    assert a.timeline[0].computed_ms == 10
    assert [o.stages_ms["inference"] for o in a.slowest] == [100] * 5
    assert len(a.timeline) <= 1500 < a.n_decisions
    assert sum(p.computed_ms == 100 for p in a.timeline) == pytest.approx(a.n_decisions / 50, abs=2)


def test_what_it_was_measured_on_is_said(profiled):
    setting = profiled.setting
    assert (setting.arrival, setting.detector, setting.gated) == ("closed", "none", False)
    assert (setting.sound.name, setting.sound.length_s, setting.sound.speech) == (
        "noise",
        2.0,
        None,
    )
    assert setting.sound.level_dbfs == pytest.approx(-20, abs=0.2)
    assert profiled.machine.cpu.n_cores >= 1
    assert profiled.power.missing == ("no sensors",)
    assert profiled.memory.peak_bytes > 10 << 20


def test_models_that_hear_alike_are_compared_on_the_same_audio(profiled):
    first, second = (model.accuracy for model in profiled.models)
    assert (first.basis, first.passes) == ("reference", True)
    assert (second.basis, second.value, second.passes) == ("agreement", 1.0, True)
    assert second.n is not None
    assert second.n > 1000
    assert profiled.recommendation is not None
    assert profiled.recommendation.model == "m1.onnx"
    assert profiled.recommendation.value_ms == 6
    assert profiled.budget is not None
    assert profiled.budget.over == ("m0.onnx",)


def test_the_record_comes_back_as_it_was(profiled, tmp_path):
    path = tmp_path / "p.json"
    profiled.save(path)
    assert Profile.load(path) == profiled
    assert json.loads(path.read_text())["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, r"\bschema\b.*\b99\b"),
        ({"kind": "edge-ser comparison"}, r"\bkind\b.*'edge-ser comparison'"),
        ({"extra": 1}, r"\bunknown .*\bextra\b"),
    ],
)
def test_other_records_are_refused(profiled, tmp_path, change, said):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(dataclasses.asdict(profiled) | change))
    with pytest.raises(ConfigError, match=said):
        Profile.load(path)


def test_a_live_source_is_taken_as_it_comes(model_path):
    clock = FakeClock()

    class Microphone:
        name, live = "mic:test", True

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

        def __iter__(self):
            noise = np.random.default_rng(0)
            while True:
                yield Idle()
                clock.pass_ns(20 * MS)
                stamp_s = (clock.now_ns() - 3 * MS) / 1e9
                yield AudioChunk(noise.normal(size=320).astype(np.float32) / 9, 16_000, stamp_s)

    request = SessionConfig(duration_s=20, n_cold_starts=0, detector=None)
    contestants = contestants_of(clock, model_path, [5.0], [7.0])
    made = profile(contestants, Microphone(), request, clock=clock, sensors=no_sensors)
    assert made.setting.arrival == "live"
    assert made.models[0].stages["capture"].p50_ms == pytest.approx(3, abs=11)
    assert made.models[0].stages["capture"].min_ms == pytest.approx(3)
    assert made.models[1].accuracy.basis == "unknown"
    assert made.models[0].computed.p50_ms == pytest.approx(5)


def test_an_engine_shows_what_the_gpu_says(model_path):
    clock = FakeClock()
    engine = ProfiledModel("m.engine", model_path, "auto", FakeEngine(clock, [10.0]), 0, None)
    request = SessionConfig(duration_s=8, n_cold_starts=0, detector=None)
    made = profile([engine], noise_sound(), request, clock=clock, sensors=no_sensors)
    (model,) = made.models
    parts = ("to_device", "inference", "to_host", "launch")
    assert [model.stages[name].p50_ms for name in parts] == [1, 6, 0.5, 2.5]
    assert model.computed.p50_ms == 10
    assert model.device_memory is not None
    assert (model.device_memory.peak_bytes, model.device_memory.grows) == (7 << 20, False)
    assert made.recommendation is None


def test_nothing_to_decide_on_is_an_error(model_path):
    clock = FakeClock()
    sound = noise_sound()
    sound.samples[:] = 0
    request = SessionConfig(arrival="paced", duration_s=5, n_cold_starts=0, detector=None)
    with pytest.raises(AudioError, match=r"\bm0\.onnx\b.*\b\d+ windows .*\bsilent\b"):
        profile(
            contestants_of(clock, model_path, [5.0]),
            sound,
            request,
            clock=clock,
            sensors=no_sensors,
        )


def test_energy_of_a_known_power(model_path):
    """By the real clock, as the meter's thread has no other."""
    request = SessionConfig(duration_s=1, n_cold_starts=0, idle_s=1.0, detector=None)
    sensors = sensors_of(SimulatedSensor(lambda _: 6.0, time.monotonic))
    contestants = open_models([model_path], ["cpu"], 1)
    made = profile(contestants, noise_sound(), request, sensors=lambda: sensors)
    energy = made.models[0].energy
    assert energy is not None
    assert energy.mean_w == pytest.approx(6.0, rel=0.01)
    assert energy.joules_above_idle_per_decision == pytest.approx(0, abs=1e-4)
    assert energy.joules_per_decision == pytest.approx(
        6 * energy.seconds / (energy.joules / energy.joules_per_decision)
    )
    assert made.power.covers == sensors.total.covers
    assert made.power.curve


def test_models_are_opened_on_each_device_and_named_apart(model_path, tmp_path):
    opened = open_models([model_path], ["auto", "cpu"], 1)
    assert [c.name for c in opened] == [f"m.onnx on {device}" for device in ("auto", "cpu")]
    assert opened[0].precision is None
    with pytest.raises(ModelError, match=r"\bno (such )?model\b.*\bnone\.onnx\b"):
        open_models([model_path, tmp_path / "none.onnx"], ["auto"], 1)


def test_requests_that_contradict_themselves():
    with pytest.raises(ConfigError, match="gated is True"):
        SessionConfig(gated=True, detector=None)
    with pytest.raises(ConfigError, match="chunk_s is 2"):
        SessionConfig(chunk_s=2)
