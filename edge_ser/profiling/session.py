"""Complete profile: reads the machine, makes the sound, measures the models, assembles the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from edge_ser._util.callbacks import OnProgress
from edge_ser._util.records import require
from edge_ser.audio.sources.base import Source
from edge_ser.machine.facts import read_facts
from edge_ser.machine.power.meter import EnergyMeter
from edge_ser.machine.power.sensors import Sensors, open_sensors
from edge_ser.profiling.arrival import Feed, LiveFeed, SoundFeed
from edge_ser.profiling.assemble import ProfileConfig, Surroundings, assemble
from edge_ser.profiling.clock import Clock, MonotonicClock
from edge_ser.profiling.cold_start import cold_starts
from edge_ser.profiling.models import ProfiledModel
from edge_ser.profiling.report import Profile, Setting, SoundFacts
from edge_ser.profiling.run import BLOCK_S, RunConfig, measure
from edge_ser.profiling.sound import Sound, level_dbfs, speech_share
from edge_ser.profiling.stages import AlwaysSpeech
from edge_ser.vad.base import VoiceDetector
from edge_ser.vad.detectors import open_detector

LIVE = "live"


@dataclass(frozen=True)
class SessionConfig:
    """Configuration of a profile.

    Raises:
        ConfigError: a value out of range.
    """

    arrival: str = "closed"
    duration_s: float = 15.0
    chunk_s: float = 0.02
    warmup_decisions: int = 20
    detector: str | None = "auto"
    """A name for `open_detector`; None for none."""
    gated: bool = False
    """Whether windows are classified only while the detector finds speech."""
    threads: int = 1
    n_cold_starts: int = 5
    idle_s: float = 5.0
    budget_ms: float | None = None
    percentile: float = 99.0
    baseline: str | None = None
    """As for `Recognizer`."""

    def __post_init__(self) -> None:
        require(0.001 <= self.chunk_s <= 1, "chunk_s", self.chunk_s, "0.001 to 1 s")
        alone = self.gated and self.detector is None
        require(not alone, "gated", self.gated, "False where there is no voice detector")


def profile(
    models: Sequence[ProfiledModel],
    source: Sound | Source,
    config: SessionConfig,
    on_progress: OnProgress = lambda _what, _share: None,
    clock: Clock | None = None,
    sensors: Callable[[], Sensors] = open_sensors,
) -> Profile:
    """Measure open models.

    Args:
        models: the models, which are measured in turns.
        source: a sound, or a live source that is not yet entered.
        config: the configuration.
        on_progress: called with a description and the finished share.
        clock: None for the system's.
        sensors: opens the power sensors.

    Raises:
        AudioError: the source cannot be used, or no window of it could be classified.
        ModelError, EngineError: inference failed.
        MissingDependency: the voice detector is not installed.
    """
    clock = clock or MonotonicClock()
    arrival = config.arrival if isinstance(source, Sound) else LIVE
    block_s = min(BLOCK_S[arrival], config.duration_s)
    run_config = RunConfig(config.duration_s, block_s, config.warmup_decisions)
    on_progress("reading the machine", 0.0)
    before = read_facts()
    with ExitStack() as stack:
        feed, warm_feed = _feeds(stack, source, config, clock)
        opened = stack.enter_context(sensors())
        measured = measure(
            [model.runner for model in models],
            feed,
            lambda: _detector(config),
            run_config,
            clock,
            warm_feed=warm_feed,
            meter=EnergyMeter(opened) if opened.sensors else None,
            idle_s=config.idle_s,
            baseline=config.baseline,
            progress=lambda share: on_progress("measuring", share),
        )
        missing = opened.unavailable
    around = Surroundings(before, read_facts(), missing)
    cold = []
    for index, model in enumerate(models):
        on_progress("starting anew", index / len(models))
        cold.append(
            cold_starts(
                model.path,
                model.device,
                config.threads,
                config.detector,
                config.n_cold_starts,
            )
        )
    setting = _setting(source, arrival, config, run_config)
    profile_config = ProfileConfig(config.budget_ms, config.percentile)
    return assemble(measured, models, setting, cold, around, profile_config)


def _feeds(
    stack: ExitStack, source: Sound | Source, config: SessionConfig, clock: Clock
) -> tuple[Callable[[], Feed], Callable[[], Feed] | None]:
    if isinstance(source, Sound):
        sound = source
        return (
            lambda: SoundFeed(sound, config.arrival, clock, config.chunk_s),
            lambda: SoundFeed(sound, "closed", clock, config.chunk_s),
        )
    signals = iter(stack.enter_context(source))
    return (lambda: LiveFeed(signals.__next__)), None


def _detector(config: SessionConfig) -> VoiceDetector | None:
    if config.detector is None:
        return None
    detector = open_detector(config.detector)
    return detector if config.gated else AlwaysSpeech(detector)


def _setting(
    source: Sound | Source, arrival: str, config: SessionConfig, run_config: RunConfig
) -> Setting:
    detector = None if config.detector is None else open_detector(config.detector)
    if isinstance(source, Sound):
        share = None if detector is None else speech_share(source, detector)
        facts = SoundFacts(
            source.name, source.sample_rate, source.length_s, level_dbfs(source), share
        )
    else:
        rate = getattr(getattr(source, "device", None), "sample_rate", 0)
        facts = SoundFacts(source.name, rate, None, None, None)
    return Setting(
        arrival=arrival,
        chunk_ms=1e3 * config.chunk_s,
        duration_s=run_config.duration_s,
        block_s=run_config.block_s,
        warmup_decisions=run_config.warmup_decisions,
        detector="none" if detector is None else detector.name,
        gated=config.gated,
        threads=config.threads,
        sound=facts,
        baseline=config.baseline or "default",
    )


def bundled_or(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the given models, or the bundled one if there are none."""
    from edge_ser.inference.loader import bundled_model

    return tuple(paths) or (bundled_model(),)
