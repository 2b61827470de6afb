"""Real clips with pauses between them, in quiet and in noise, and where somebody speaks in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.io import load
from edge_ser.corpora import Clip, load_corpus
from edge_ser.evaluation.noise import NoiseSource, active_power, open_noise

Float32 = NDArray[np.float32]

RATE = 16_000
STEP_S = 0.01
"""The truth is known in steps of this length."""

SPEECH_HZ = (100.0, 4000.0)
BELOW_PEAK_DB = 35.0
ABOVE_FLOOR_DB = 10.0
SMOOTH_STEPS = 5
SHORTEST_STEPS, GAP_STEPS = 8, 30

PAUSE_S = (1.2, 2.0)
LEVEL_DBFS = -26.0
N_BABBLERS = 8


@dataclass(frozen=True)
class Spoken:
    """A clip, and where in it somebody speaks."""

    samples: Float32
    """[n_samples] at RATE."""
    active: NDArray[np.bool_]
    """[n_steps]: speech in each step of STEP_S; pauses below 0.3 s count as speech."""

    @property
    def span_s(self) -> tuple[float, float]:
        """Where the utterance begins and ends, in seconds."""
        places = np.flatnonzero(self.active)
        return float(places[0]) * STEP_S, float(places[-1] + 1) * STEP_S


@dataclass(frozen=True)
class Scene:
    """A stream of several utterances."""

    samples: Float32
    active: NDArray[np.bool_]
    spans_s: tuple[tuple[float, float], ...]


def spoken(samples: Float32) -> Spoken:
    """Find the speech of a clean clip by its energy.

    From 100 Hz to 4 kHz, the power of steps of 10 ms is averaged over five. Speech is what lies less
    than 35 dB below the clip's loudest step and at least 10 dB above its floor (the 5th percentile of
    the steps). Pauses below 0.3 s between such steps are filled; what then lasts less than 80 ms
    (clicks, lips) is none.
    """
    size = round(STEP_S * RATE)
    n_samples = len(samples) // size * size
    spectrum = np.fft.rfft(samples[:n_samples].astype(np.float64))
    hz = np.fft.rfftfreq(n_samples, 1 / RATE)
    spectrum[(hz < SPEECH_HZ[0]) | (hz > SPEECH_HZ[1])] = 0
    blocks = np.fft.irfft(spectrum, n_samples).reshape(-1, size)
    power = np.convolve(np.mean(blocks**2, axis=1), np.ones(SMOOTH_STEPS) / SMOOTH_STEPS, "same")
    level = 10 * np.log10(power + 1e-12)
    floor = float(np.percentile(level, 5))
    active = level > max(float(level.max()) - BELOW_PEAK_DB, floor + ABOVE_FLOOR_DB)
    _flip_short(active, was=False, n=GAP_STEPS, edges=False)
    _flip_short(active, was=True, n=SHORTEST_STEPS, edges=True)
    return Spoken(samples[: len(active) * size], active)


def _flip_short(mask: NDArray[np.bool_], *, was: bool, n: int, edges: bool) -> None:
    """Turn the runs of `was` that are shorter than n around, those at the ends only if `edges`."""
    turns = np.flatnonzero(np.diff(mask)) + 1
    bounds = [0, *turns.tolist(), len(mask)]
    for start, stop in pairwise(bounds):
        at_edge = start == 0 or stop == len(mask)
        if mask[start] == was and stop - start < n and (edges or not at_edge):
            mask[start:stop] = not was


def choose(corpora: Path, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Return the clips whose utterances are sought, and those of other speakers for babble."""
    rng = np.random.default_rng(seed)
    wanted: list[Clip] = []
    others: list[Clip] = []
    for name, n_clips, n_aside in (("RAVDESS", 60, 4), ("EMO-DB", 36, 2), ("TESS", 24, 0)):
        clips = load_corpus(f"{name}={corpora / name}")
        speakers = sorted({clip.speaker for clip in clips})
        aside = set(speakers[:n_aside])
        wanted += _some(rng, [clip for clip in clips if clip.speaker not in aside], n_clips)
        others += _some(rng, [clip for clip in clips if clip.speaker in aside], 40)
    return wanted, others


def soft_clips(corpora: Path, n: int, seed: int) -> list[Clip]:
    """Return n of the quietest quarter of RAVDESS' calm and sad clips."""
    clips = load_corpus(f"RAVDESS={corpora / 'RAVDESS'}")
    calm_and_sad = [clip for clip in clips if clip.path.stem.split("-")[2] in {"02", "04"}]
    level = {clip.path: active_power(load(clip.path, RATE), RATE) for clip in calm_and_sad}
    quiet = sorted(calm_and_sad, key=lambda clip: level[clip.path])[: len(calm_and_sad) // 4]
    return _some(np.random.default_rng(seed), quiet, n)


def babble(clips: Sequence[Clip], seed: int) -> NoiseSource:
    """Return eight voices at once, each one clip after another without a pause."""
    rng = np.random.default_rng(seed)
    voices = []
    for _ in range(N_BABBLERS):
        parts = [spoken(load(clips[i].path, RATE)) for i in rng.permutation(len(clips))[:20]]
        voices.append(np.concatenate([_at_level(part.samples[_inside(part)]) for part in parts]))
    n_samples = min(len(voice) for voice in voices)
    mixed = np.sum([voice[:n_samples] for voice in voices], axis=0)
    mixed = np.asarray(mixed / np.sqrt(np.mean(mixed.astype(np.float64) ** 2)), dtype=np.float32)
    return NoiseSource("babble", RATE, seed, mixed)


def pink(seed: int) -> NoiseSource:
    """Return pink noise."""
    return open_noise("pink", RATE, seed)


def scene(
    clips: Sequence[Clip], seed: int, noise: NoiseSource | None = None, snr_db: float = 0.0
) -> Scene:
    """Join clips with pauses of 1.2 to 2 s of digital silence between, before and after them.

    In quiet they stay as loud as they are. With noise, which goes on through the pauses, each is
    brought to an active level of -26 dBFS first, so that the ratio holds for each.
    """
    rng = np.random.default_rng(seed)
    parts: list[Float32] = []
    masks: list[NDArray[np.bool_]] = []
    spans = []
    n_steps = 0
    for clip in clips:
        part = spoken(load(clip.path, RATE))
        pause = round(float(rng.uniform(*PAUSE_S)) / STEP_S)
        start_s, stop_s = part.span_s
        spans.append(((n_steps + pause) * STEP_S + start_s, (n_steps + pause) * STEP_S + stop_s))
        parts += [
            np.zeros(round(pause * STEP_S * RATE), dtype=np.float32),
            part.samples if noise is None else _at_level(part.samples),
        ]
        masks += [np.zeros(pause, dtype=bool), part.active]
        n_steps += pause + len(part.active)
    tail = round(PAUSE_S[1] / STEP_S)
    samples = np.concatenate([*parts, np.zeros(round(tail * STEP_S * RATE), dtype=np.float32)])
    if noise is not None:
        gain = np.float32(10 ** ((LEVEL_DBFS - snr_db) / 20))
        samples = samples + gain * noise.draw(len(samples), f"scene {seed}")
    return Scene(samples, np.concatenate([*masks, np.zeros(tail, dtype=bool)]), tuple(spans))


def _inside(part: Spoken) -> slice:
    start_s, stop_s = part.span_s
    return slice(round(start_s * RATE), round(stop_s * RATE))


def _at_level(samples: Float32) -> Float32:
    gain = 10 ** (LEVEL_DBFS / 20) / np.sqrt(active_power(samples, RATE))
    return np.asarray(samples * np.float32(gain), dtype=np.float32)


def _some(rng: np.random.Generator, clips: Sequence[Clip], n: int) -> list[Clip]:
    places = rng.permutation(len(clips))[:n]
    return [clips[i] for i in places]
