"""Reverberation of random rooms: decaying noise, and impulse responses by the image source method."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import missing_extra

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

MAX_ORDER = 30
"""Largest order of exact reflections; later ones are replaced by decaying noise."""

REVERBERATION_S = (0.2, 0.8)
"""Range of reverberation times (T60) in seconds, from a car to an exhibition hall."""

DIRECT_DB = (-3.0, 12.0)
"""Range of the direct-to-reverberant ratio in dB, from far to near."""

_FIRST_ECHO_S = 0.003

_HEIGHT_M = (2.4, 4.0)
_WALL_M = 0.3
"""Smallest distance of source and microphone from every wall, in metres."""
_MATCH_S = 0.04
_DRAWS = 200


@dataclass(frozen=True)
class ShoeboxConfig:
    """Ranges of the room parameters, drawn uniformly."""

    size_m: tuple[float, float] = (2.5, 10.0)
    """Length and width in metres; the height is 2.4 to 4 m, at most the larger size."""
    reverberation_s: tuple[float, float] = (0.15, 0.9)
    """Reverberation time (T60) in seconds."""
    distance_m: tuple[float, float] = (0.3, 4.0)
    """Distance from source to microphone in metres, limited by the room."""


@dataclass(frozen=True)
class RoomResponse:
    """Impulse response of a room, and the delay of the direct sound."""

    samples: Float32
    """float32 [n_samples]."""
    delay: int
    """Number of samples before the direct sound."""


@functools.lru_cache(maxsize=1024)
def simulate(config: ShoeboxConfig, number: int, sample_rate: int) -> RoomResponse:
    """Return the impulse response of room `number`; deterministic.

    Reflections up to `MAX_ORDER` are those of pyroomacoustics (Scheibler 2018, arXiv 1710.04196; image
    source method of Allen and Berkley 1979). Later ones are replaced by noise with the same energy and
    the room's decay.

    Raises:
        MissingDependency: pyroomacoustics is not installed.
    """
    pra = _pyroomacoustics()
    rng = np.random.default_rng((number, 20_260))
    t60 = rng.uniform(*config.reverberation_s)
    for _ in range(_DRAWS):
        size = _size(config, rng)
        try:
            absorption, order = pra.inverse_sabine(t60, size)
        except ValueError:
            continue  # the room would need an absorption above 1
        break
    else:
        absorption, order = 1.0, 0
    room = pra.ShoeBox(
        size,
        fs=sample_rate,
        materials=pra.Material(absorption),
        max_order=min(order, MAX_ORDER),
    )
    source, microphone = _positions(config, size, rng)
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], dtype=np.float64)
    filter_delay = pra.constants.get("frac_delay_length") // 2
    distance = float(np.linalg.norm(source - microphone))
    if order > MAX_ORDER:
        # Smallest distance of the image sources of the next order.
        complete_s = (MAX_ORDER + 1) / np.sqrt((1 / size**2).sum()) / room.c
        response = _with_tail(response, complete_s, t60, sample_rate, rng)
    return RoomResponse(
        response.astype(np.float32), round(distance / room.c * sample_rate) + filter_delay
    )


def _size(config: ShoeboxConfig, rng: np.random.Generator) -> Float64:
    height = rng.uniform(*_HEIGHT_M)
    return np.array([*rng.uniform(*config.size_m, size=2), min(height, config.size_m[1])])


def _positions(
    config: ShoeboxConfig, size: Float64, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Return the positions of source and microphone, [3] each, in metres."""
    low, high = np.full(3, _WALL_M), size - _WALL_M
    nearest, farthest = config.distance_m
    for _ in range(_DRAWS):
        microphone = rng.uniform(low, high)
        direction = rng.standard_normal(3) * (1.0, 1.0, 0.3)  # heads are at similar heights
        direction /= np.linalg.norm(direction)
        source = microphone + direction * rng.uniform(nearest, farthest)
        if (source > low).all() and (source < high).all():
            return source, microphone
    return low + 0.25 * (high - low), low + 0.75 * (high - low)


def _with_tail(
    response: Float64, complete_s: float, t60: float, sample_rate: int, rng: np.random.Generator
) -> Float64:
    """Return a response with decaying noise after `complete_s`, cross-faded over 40 ms."""
    end, fade = round(complete_s * sample_rate), round(_MATCH_S * sample_rate)
    end = min(end, len(response))
    begin = max(0, end - fade)
    level = np.sqrt(np.mean(response[begin:end] ** 2))
    n_samples = max(end, round(1.2 * t60 * sample_rate))
    seconds = (np.arange(n_samples) - (begin + end) / 2) / sample_rate
    tail = level * rng.standard_normal(n_samples) * 10 ** (-3 * seconds / t60)
    share = np.clip((np.arange(n_samples) - begin) / max(1, end - begin), 0, 1)
    early = np.zeros(n_samples)
    early[:end] = response[:end]
    joined: Float64 = early * np.sqrt(1 - share) + tail * np.sqrt(share)
    return joined


def _pyroomacoustics() -> Any:
    try:
        import pyroomacoustics
    except ImportError:
        raise missing_extra("pyroomacoustics", "train") from None
    return pyroomacoustics


def reverberate(samples: Float32, sample_rate: int, rng: np.random.Generator) -> Float32:
    """Return samples with the reverberation of a random room, with the same length and energy.

    The impulse response is the direct sound and exponentially decaying noise (Polack 1988; see Habets
    2010, doi:10.1007/978-1-4419-6056-0_3), with a reverberation time from `REVERBERATION_S` and a
    direct-to-reverberant ratio from `DIRECT_DB`.
    """
    from scipy.signal import fftconvolve

    t60, direct_db = rng.uniform(*REVERBERATION_S), rng.uniform(*DIRECT_DB)
    seconds = np.arange(round(t60 * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / t60)
    tail[seconds < _FIRST_ECHO_S] = 0.0
    response = tail * 10 ** (-direct_db / 20) / np.sqrt((tail**2).sum())
    response[0] = 1.0
    reverberated = fftconvolve(samples, response)[: len(samples)]
    # Levels are augmented elsewhere; here they could fall below the threshold of silence.
    gain = np.sqrt((samples**2).sum() / max((reverberated**2).sum(), np.finfo(np.float32).tiny))
    scaled: Float32 = (reverberated * gain).astype(np.float32)
    return scaled
