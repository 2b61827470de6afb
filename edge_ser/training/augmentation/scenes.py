"""Acoustic scenes: speech in a room, with noise, through a microphone and a transmission line."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_ser._util.hashing import text_digest
from edge_ser._util.records import require
from edge_ser.errors import ConfigError, MissingDependency
from edge_ser.training.augmentation.rooms import ShoeboxConfig, simulate
from edge_ser.training.augmentation.sounds import NoiseRecordings, Sounds, load_responses

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


Float32 = NDArray[np.float32]

_VERSION = 1
"""Version of the computation; part of the cache key."""

_ACTIVE_DB = 30.0
_BLOCK_S = 0.02


@dataclass(frozen=True)
class SceneConfig:
    """Settings of random scenes; each part of a scene is present with its own probability.

    Raises:
        ConfigError: a value is out of range.
    """

    scenes: int = 0
    """Number of scenes computed for every clip, at speed 1."""
    room_share: float = 0.5
    """Probability of a simulated room."""
    rooms: int = 200
    """Number of different rooms."""
    room_size_m: tuple[float, float] = (2.5, 10.0)
    """Length and width of the rooms, in metres."""
    reverberation_s: tuple[float, float] = (0.15, 0.9)
    """Reverberation time (T60) of the rooms, in seconds."""
    distance_m: tuple[float, float] = (0.3, 4.0)
    """Distance from speaker to microphone, in metres."""
    noise_share: float = 0.7
    """Probability of noise from the folders of `--noise`."""
    snr_db: tuple[float, float] = (0.0, 30.0)
    """Signal-to-noise ratio in dB; pauses in the speech do not count."""
    microphone_share: float = 0.5
    """Probability of a microphone from the folders of `--microphones`."""
    line_share: float = 0.3
    """Probability of one of `lines`."""
    lines: tuple[str, ...] = LINES
    """Transmission lines to draw from; one that is listed twice is drawn twice as often."""

    def __post_init__(self) -> None:
        require(self.scenes >= 0, "scenes", self.scenes, "0 or more")
        require(self.rooms >= 1, "rooms", self.rooms, "1 or more")
        for name in ("room_share", "noise_share", "microphone_share", "line_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "in [0, 1]")
        ranges = {
            "room_size_m": (1.5, 50.0),
            "reverberation_s": (0.05, 3.0),
            "distance_m": (0.1, 50.0),
            "snr_db": (-60.0, 120.0),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            fits = len(value) == 2 and least <= value[0] <= value[1] <= most
            require(fits, name, value, f"the lowest, then the highest, {least:g} to {most:g}")
        known = set(self.lines) <= set(LINES)
        require(known, "lines", self.lines, "some of " + ", ".join(LINES))
        some = len(self.lines) > 0 or self.line_share == 0
        require(some, "lines", self.lines, "one or more, or line_share 0")

    @property
    def shoebox(self) -> ShoeboxConfig:
        """Settings of the simulated rooms."""
        return ShoeboxConfig(self.room_size_m, self.reverberation_s, self.distance_m)

    def require_sounds(self, sounds: Sounds) -> None:
        """Check that the required recordings are given, and no others.

        Raises:
            ConfigError: folders are missing, or given but not used.
        """
        for option, folders, name in (
            ("--noise", sounds.noise, "noise_share"),
            ("--microphones", sounds.microphones, "microphone_share"),
        ):
            is_used = self.scenes > 0 and getattr(self, name) > 0
            if is_used and not folders:
                raise ConfigError(
                    f"augment.scene.{name} is {getattr(self, name):g}, expected folders of recordings, "
                    f"got none; add {option} DIR, or set {name} to 0"
                )
            if folders and not is_used:
                raise ConfigError(
                    f"expected no {option} for augment.scene with scenes {self.scenes} and {name} "
                    f"{getattr(self, name):g}, got {', '.join(folders)}; set both above 0 in "
                    f"--config, or leave {option} out"
                )


class Scenes:
    """Random scenes with opened recordings.

    Args:
        config: the settings.
        sounds: folders of noise and microphones.
        sample_rate: Hz of the clips.

    Raises:
        ConfigError: folders are missing or not used; see `SceneConfig.require_sounds`.
        AudioError: a recording cannot be used.
    """

    def __init__(self, config: SceneConfig, sounds: Sounds, sample_rate: int) -> None:
        config.require_sounds(sounds)
        self.config = config
        self._sample_rate = sample_rate
        self._noise = NoiseRecordings(sounds.noise, sample_rate)
        self._microphones = load_responses(sounds.microphones, sample_rate)
        facts = (_VERSION, dataclasses.replace(config, scenes=0), sounds.digest, sample_rate)
        self.digest = text_digest(repr(facts))
        """SHA-256 of everything that determines a scene, except the clip and the number of scenes."""

    def apply(self, samples: Float32, rng: np.random.Generator) -> Float32:
        """Return samples in a random scene, float32 [n_samples], with the same length and timing.

        The order is room, noise, microphone, line. Room and microphone keep the energy; noise adds to
        it. Each part has its own random generator, so that the probability of one does not affect the
        others.

        Raises:
            AudioError: a noise recording cannot be read.
            MissingDependency: pyroomacoustics, or a codec of libsndfile, is not installed.
        """
        config = self.config
        room, noise, microphone, line = rng.spawn(4)
        if room.uniform() < config.room_share:
            response = simulate(config.shoebox, int(room.integers(config.rooms)), self._sample_rate)
            samples = convolve(samples, response.samples, response.delay)
        if noise.uniform() < config.noise_share:
            snr_db = noise.uniform(*config.snr_db)
            samples = add_noise(
                samples, self._noise.piece(len(samples), noise), snr_db, self._sample_rate
            )
        if microphone.uniform() < config.microphone_share:
            chosen = self._microphones[microphone.integers(len(self._microphones))]
            samples = convolve(samples, chosen, int(np.abs(chosen).argmax()))
        if line.uniform() < config.line_share:
            name = config.lines[line.integers(len(config.lines))]
            samples = transmit(samples, self._sample_rate, name, line)
        return samples


def convolve(samples: Float32, response: Float32, delay: int) -> Float32:
    """Return samples convolved with an impulse response, float32 [n_samples], with the same energy.

    Args:
        samples: the input, float32 [n_samples].
        response: the impulse response.
        delay: samples of the response before its direct sound, which are removed.
    """
    from scipy.signal import oaconvolve

    result = oaconvolve(samples, response)[delay : delay + len(samples)]
    energy, energy_before = float(np.dot(result, result)), float(np.dot(samples, samples))
    gain = np.sqrt(energy_before / max(energy, float(np.finfo(np.float32).tiny)))
    scaled: Float32 = (result * gain).astype(np.float32)
    return scaled


def add_noise(samples: Float32, noise: Float32, snr_db: float, sample_rate: int) -> Float32:
    """Return samples with noise, [n_samples] both, at a ratio in dB of active speech to noise."""
    power = float(np.dot(noise, noise)) / max(1, len(noise))
    if power == 0:
        return samples
    gain = np.sqrt(active_power(samples, sample_rate) / power) * 10 ** (-snr_db / 20)
    mixed: Float32 = (samples + gain * noise).astype(np.float32)
    return mixed


def active_power(samples: Float32, sample_rate: int) -> float:
    """Return the mean power of blocks of 20 ms that are within 30 dB of the loudest."""
    block = max(1, min(len(samples), round(_BLOCK_S * sample_rate)))
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    powers = np.mean(blocks.astype(np.float64) ** 2, axis=1)
    active = powers[powers >= powers.max(initial=0.0) * 10 ** (-_ACTIVE_DB / 10)]
    return float(active.mean()) if len(active) else 0.0
