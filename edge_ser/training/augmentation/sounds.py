"""Recordings for scenes: background noise, and impulse responses of microphones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_ser._util.hashing import content_digest
from edge_ser.audio.io import check_finite, check_rate, find_audio, load, to_mono
from edge_ser.errors import AudioError, ConfigError

Float32 = NDArray[np.float32]

MAX_RESPONSE_S = 2.0
"""Longest accepted impulse response of a microphone, in seconds."""

SILENT_POWER = 1e-8
"""Mean power (-80 dBFS) up to which a piece of noise counts as silence and is drawn again."""

_LOOP_FADE_S = 0.05
_DRAWS = 8


@dataclass(frozen=True)
class Sounds:
    """Folders of recordings and their digest, made by `find`."""

    noise: tuple[str, ...] = ()
    """Absolute folders of background noise."""
    microphones: tuple[str, ...] = ()
    """Absolute folders of impulse responses of microphones."""
    digest: str = ""
    """SHA-256 of the content of all files in order; empty without folders."""

    @classmethod
    def find(
        cls, noise: Sequence[Path | str] = (), microphones: Sequence[Path | str] = ()
    ) -> Sounds:
        """Return folders of recordings with a digest of their content.

        Raises:
            ConfigError: a folder is missing or contains no audio.
            CorpusError: a file cannot be read.
        """
        digest = hashlib.sha256()
        for option, folders in (("--noise", noise), ("--microphones", microphones)):
            for folder in folders:
                contents = (content_digest(path) for path in _files(folder, option))
                digest.update("\t".join((option, *contents, "\n")).encode())
        return cls(
            tuple(str(Path(folder).absolute()) for folder in noise),
            tuple(str(Path(folder).absolute()) for folder in microphones),
            digest.hexdigest() if noise or microphones else "",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Base names of the folders, without duplicates."""
        return tuple(dict.fromkeys(Path(folder).name for folder in self.noise + self.microphones))


class NoiseRecordings:
    """Noise recordings, read in pieces to limit memory.

    Args:
        folders: one or more folders, drawn with equal probability.
        sample_rate: Hz of the pieces.

    Raises:
        ConfigError: a folder is missing or contains no audio.
        AudioError: a file is not audio, or contains no samples.
    """

    def __init__(self, folders: Sequence[Path | str], sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._folders = tuple(
            tuple((path, *_extent(path)) for path in _files(folder, "--noise"))
            for folder in folders
        )

    def piece(self, n_samples: int, rng: np.random.Generator) -> Float32:
        """Return noise float32 [n_samples] from a random position in a random recording.

        Shorter recordings are repeated with a cross-fade. Silent pieces are drawn again, up to eight
        times in all; silence is returned if the last one is silent too.

        Raises:
            AudioError: the file cannot be read.
        """
        samples = np.zeros(n_samples, np.float32)
        for _ in range(_DRAWS):
            samples = self._draw(n_samples, rng)
            if float(np.dot(samples, samples)) > SILENT_POWER * n_samples:
                break
        return samples

    def _draw(self, n_samples: int, rng: np.random.Generator) -> Float32:
        files = self._folders[rng.integers(len(self._folders))]
        path, n_frames, rate = files[rng.integers(len(files))]
        position = rng.uniform()
        # One more frame, because the resampler rounds.
        needed = int(np.ceil(n_samples * rate / self._sample_rate)) + 1
        if needed <= n_frames:
            start = int(position * (n_frames - needed + 1))
            return self._read(path, start, needed, rate)[:n_samples]
        loop = seamless(self._read(path, 0, n_frames, rate), self._sample_rate)
        start = int(position * len(loop))
        return np.take(loop, np.arange(start, start + n_samples), mode="wrap")

    def _read(self, path: Path, start: int, n_frames: int, rate: int) -> Float32:
        try:
            with soundfile.SoundFile(str(path)) as file:
                file.seek(start)
                samples = file.read(n_frames, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise _unreadable(path, error) from None
        check_finite(samples, str(path))
        mono = to_mono(samples, None, str(path))
        resampled = (
            mono if rate == self._sample_rate else soxr.resample(mono, rate, self._sample_rate)
        )
        missing = int(n_frames * self._sample_rate / rate) - len(resampled)
        if missing > 1 + 0.01 * len(resampled):
            raise AudioError(
                f"{path} is truncated: expected {n_frames} frames from {start} on, got {len(samples)}; "
                "copy or record it again"
            )
        return np.pad(resampled, (0, max(0, missing)))


def seamless(samples: Float32, sample_rate: int) -> Float32:
    """Return samples that repeat without a click, with the end cross-faded into the beginning.

    The result is shorter than the input by the fade: 50 ms, at most a quarter of the samples.
    """
    fade = min(round(_LOOP_FADE_S * sample_rate), len(samples) // 4)
    if fade == 0:
        return samples
    angle = np.linspace(0, np.pi / 2, fade, dtype=np.float32)
    loop: Float32 = samples[:-fade].copy()
    # Equal-power fade, because end and beginning are uncorrelated.
    loop[:fade] = loop[:fade] * np.sin(angle) + samples[-fade:] * np.cos(angle)
    return loop


def load_responses(folders: Sequence[Path | str], sample_rate: int) -> tuple[Float32, ...]:
    """Return impulse responses of microphones, float32 [n_samples] each, at `sample_rate` Hz.

    Raises:
        ConfigError: a folder is missing or contains no audio.
        AudioError: a file cannot be read, is silent, or is too long for an impulse response.
    """
    responses = []
    for folder in folders:
        for path in _files(folder, "--microphones"):
            response = load(path, sample_rate)
            if len(response) > MAX_RESPONSE_S * sample_rate:
                raise AudioError(
                    f"{path}: expected an impulse response of at most {MAX_RESPONSE_S:g} s, got "
                    f"{len(response) / sample_rate:.2f} s; give --microphones a folder of impulse "
                    "responses only"
                )
            if not response.any():
                raise AudioError(f"{path} is silent; remove it from the folder of --microphones")
            responses.append(response)
    return tuple(responses)


def _files(folder: Path | str, option: str) -> tuple[Path, ...]:
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(
            f"{option}: expected a folder of recordings, got {path}; check the spelling"
        )
    try:
        return find_audio(path)
    except AudioError as error:
        raise ConfigError(f"{option}: {error}") from None


def _extent(path: Path) -> tuple[int, int]:
    """Return the number of frames and the sample rate of a file."""
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from None
    check_rate(info.samplerate)
    if info.frames == 0:
        raise AudioError(f"{path} contains no samples; remove it from the folder of --noise")
    return info.frames, info.samplerate


def _unreadable(path: Path, error: Exception) -> AudioError:
    return AudioError(
        f"{path} cannot be read as audio ({error}); convert it, e.g. with ffmpeg, or remove it from "
        "the folder of --noise"
    )
