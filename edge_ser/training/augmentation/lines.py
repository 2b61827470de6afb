"""Simulated transmission lines: narrow bands, telephone codecs, low bit rates.

The output has the length and timing of the input: the delay of a codec is measured once and removed.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_ser.errors import MissingDependency

Float32 = NDArray[np.float32]

TELEPHONE_HZ = (300.0, 3_400.0)
"""Band of a telephone line (ITU-T G.712)."""

_FLUSH = 2_048
"""Silent samples appended to a clip, so that every codec returns its end."""

_PEAK_DB = (-25.0, -1.0)
"""Range of the peak level at the codec's input, in dB relative to full scale."""


@dataclass(frozen=True)
class Codec:
    """Codec of libsndfile with its settings."""

    container: str
    subtype: str
    sample_rate: int
    """Sample rate in Hz."""
    compression: float | None = None
    """libsndfile's compression level, from 0 (best) to 1 (smallest)."""
    bitrate_mode: str | None = None
    is_telephone: bool = False
    """Whether half of the transmissions are limited to `TELEPHONE_HZ`."""


NARROW: Mapping[str, int] = MappingProxyType({"8k": 8_000, "11k": 11_025})
"""Lines that only limit the bandwidth, with their sample rates in Hz."""

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "mulaw": Codec("WAV", "ULAW", 8_000, is_telephone=True),  # G.711, 64 kbit/s
        "alaw": Codec("WAV", "ALAW", 8_000, is_telephone=True),
        "gsm": Codec("WAV", "GSM610", 8_000, is_telephone=True),  # 13 kbit/s
        "mp3": Codec("MP3", "MPEG_LAYER_III", 16_000, 0.95, "AVERAGE"),  # 16 kbit/s
        "opus": Codec("OGG", "OPUS", 16_000, 0.97),  # 14 kbit/s
        "vorbis": Codec("OGG", "VORBIS", 16_000, 1.0),  # 34 kbit/s
    }
)

LINES = (*NARROW, *CODECS)
"""Names of all lines."""


def transmit(samples: Float32, sample_rate: int, line: str, rng: np.random.Generator) -> Float32:
    """Return samples [n_samples] after a line, with the same length, level and timing.

    Args:
        samples: the input, float32 [n_samples].
        sample_rate: Hz, of input and output.
        line: one of `LINES`.
        rng: random generator, for the level at the codec and the limit to the telephone band.

    Raises:
        MissingDependency: libsndfile was built without this codec.
    """
    if len(samples) == 0:
        return samples
    if line in NARROW:
        narrow = soxr.resample(samples, sample_rate, NARROW[line])
        return _fitted(soxr.resample(narrow, NARROW[line], sample_rate), len(samples))
    codec = CODECS[line]
    peak = float(np.abs(samples).max(initial=0.0))
    gain = 10 ** (rng.uniform(*_PEAK_DB) / 20) / peak if peak > 0 else 1.0
    is_cut = rng.uniform() < 0.5 and codec.is_telephone
    driven = soxr.resample((samples * gain).astype(np.float32), sample_rate, codec.sample_rate)
    if is_cut:
        driven = _telephone_band(driven, codec.sample_rate)
    decoded = _fitted(_decoded(driven, line)[_delay(line) :], len(driven))
    restored = soxr.resample(decoded, codec.sample_rate, sample_rate) / gain
    return _fitted(restored.astype(np.float32), len(samples))


@functools.cache
def _delay(line: str) -> int:
    """Return a codec's delay in samples, measured by cross-correlation of output and input."""
    rate = CODECS[line].sample_rate
    rng = np.random.default_rng(0)
    # Noise in the band of speech, which every codec mostly preserves.
    noise = _telephone_band(rng.standard_normal(2 * rate).astype(np.float32), rate)
    noise *= 0.5 / np.abs(noise).max()
    decoded = _decoded(noise, line)
    size = 2 * (len(noise) + len(decoded))
    correlation = np.fft.irfft(np.fft.rfft(decoded, size) * np.fft.rfft(noise, size).conj(), size)
    return int(correlation[:rate].argmax())


def _decoded(samples: Float32, line: str) -> Float32:
    """Return samples, at the codec's sample rate, after encoding and decoding."""
    codec = CODECS[line]
    if not soundfile.check_format(codec.container, codec.subtype):
        raise MissingDependency(
            f"the codec {line} of libsndfile",
            "run: pip install --upgrade soundfile, or leave the line out of augment.scene.lines",
        )
    settings: dict[str, object] = {}
    if codec.compression is not None:
        settings["compression_level"] = codec.compression
    if codec.bitrate_mode is not None:
        settings["bitrate_mode"] = codec.bitrate_mode
    with io.BytesIO() as buffer:
        soundfile.write(
            buffer,
            np.pad(samples, (0, _FLUSH)),
            codec.sample_rate,
            format=codec.container,
            subtype=codec.subtype,
            **settings,
        )
        buffer.seek(0)
        decoded, _ = soundfile.read(buffer, dtype="float32")
    return np.asarray(decoded, dtype=np.float32)


def _telephone_band(samples: Float32, sample_rate: int) -> Float32:
    """Return samples limited to the telephone band, without delay; transitions are 100 Hz wide."""
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / sample_rate)
    low, high = TELEPHONE_HZ
    gain = np.clip((hz - low) / 100 + 0.5, 0, 1) * np.clip((high - hz) / 100 + 0.5, 0, 1)
    return np.fft.irfft(spectrum * gain, len(samples)).astype(np.float32)


def _fitted(samples: Float32, n_samples: int) -> Float32:
    """Return samples truncated or padded with silence to `n_samples`."""
    return np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))
