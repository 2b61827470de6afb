"""Segmentation of a stream into utterances.

The probabilities of a voice detector decide on the utterances; the level of the audio refines their
start and end.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.records import require
from edge_ser.audio.io import Resampler
from edge_ser.vad.base import VoiceDetector

Float64 = NDArray[np.float64]

STEP_S = 0.01
"""Resolution of the level; each step is averaged with its neighbours."""
RANGE_DB = 35.0
"""Speech is at most this far below the loudest nearby step."""
ABOVE_FLOOR_DB = 10.0
"""A start is at least this far above the floor, the 10th percentile of the steps without speech."""
QUIET_ABOVE_DB = 6.0
"""Replaces ABOVE_FLOOR_DB if the floor is more than RANGE_DB below the speech: room noise is steady,
unlike other voices."""
SEEN_DB = 40.0
"""An end is refined only if the floor is this far below the loudest step; otherwise noise may mask
it."""
GAP_S = 0.2
"""Longest gap within the first words, such as the closure of a "p"."""
LATER_S = 0.3
"""Largest delay of an end."""
LOUDEST_S = 1.5
"""Length of the speech before an end in which the loudest step is sought."""

_HUM_S = 0.005
"""Width of the moving mean that is subtracted, to remove offset and hum."""
_FLOOR_S = 0.3
"""Additional audio before the search range of a start that counts for its floor."""
_DECAY_S = 0.1
"""Audio after a detector's end that does not count for its floor."""
_FEWEST = 10
"""Smallest number of steps for a floor."""
_SILENT_DBFS = -90.0
"""Level below the least significant of 16 bits: digital silence, from a noise gate or an edit."""
_FEWEST_RECORDED = 5
"""Number of steps above `_SILENT_DBFS` from which the others do not count for the floor."""


class SpeechLevel:
    """Level of the last seconds of a stream, to refine the start and end of speech.

    All times are in seconds before the end of the pushed audio.
    """

    def __init__(
        self, sample_rate: int, frame_samples: int, search_s: float, start_s: float, end_s: float
    ) -> None:
        """Begin with an empty buffer.

        Args:
            sample_rate: Hz.
            frame_samples: samples per frame.
            search_s: search range before a detector's start or end.
            start_s: largest age of a detector's start in a call of `start`.
            end_s: largest age of a detector's end in a call of `end`.
        """
        self._rate = sample_rate
        self._size = round(STEP_S * sample_rate)
        self._width = round(_HUM_S * sample_rate)
        self._search_s = search_s
        held_s = max(start_s + search_s + _FLOOR_S, end_s + max(search_s, LOUDEST_S))
        self._frame_samples = frame_samples
        self._frames: deque[Float32] = deque(maxlen=math.ceil(held_s * sample_rate / frame_samples))

    def push(self, frame: Float32) -> None:
        """Add a copy of the next frame [frame_samples]."""
        self._frames.append(frame.copy())

    def reset(self) -> None:
        """Drop all audio."""
        self._frames.clear()

    def start(self, detected_s: float, since_s: float) -> float:
        """Return the start of speech, never later than the detector's.

        The start moves back over loud steps and gaps up to GAP_S. It stays at the detector's start if
        no step is loud, as in noise.

        Args:
            detected_s: the detector's start.
            since_s: earliest time that is searched.
        """
        level = self._level(min(detected_s + self._search_s + _FLOOR_S, since_s))
        detected = self._index(level, detected_s)
        before = level[:detected]
        if len(before) < _FEWEST or detected == len(level):
            return detected_s
        loudest, floor = float(level[detected:].max()), _floor(before)
        above = QUIET_ABOVE_DB if loudest - floor >= RANGE_DB else ABOVE_FLOOR_DB
        loud = before > max(loudest - RANGE_DB, floor + above)
        first = detected
        for index in np.flatnonzero(loud)[::-1].tolist():
            if first - index > GAP_S / STEP_S + 1 or detected - index > self._search_s / STEP_S:
                break
            first = index
        return detected_s if first == detected else self._ago_s(level, first)

    def end(self, detected_s: float, since_s: float) -> float:
        """Return the end of speech: the end of the last loud step near the detector's end.

        It stays at the detector's end if noise may mask the end of the speech.

        Args:
            detected_s: the detector's end.
            since_s: start of the utterance.
        """
        level = self._level(min(detected_s + max(self._search_s, LOUDEST_S), since_s))
        detected = self._index(level, detected_s)
        speech, pause = level[:detected], level[detected + round(_DECAY_S / STEP_S) :]
        if len(speech) == 0 or len(pause) < _FEWEST:
            return detected_s
        loudest = float(speech.max())
        if loudest - _floor(pause) < SEEN_DB:
            return detected_s
        first = max(0, detected - round(self._search_s / STEP_S))
        near = level[first : detected + round(LATER_S / STEP_S)]
        loud = np.flatnonzero(near > loudest - RANGE_DB)
        return self._ago_s(level, first + int(loud[-1]) + 1) if len(loud) else detected_s

    def _level(self, ago_s: float) -> Float64:
        """Return the level [n_steps], in dB, of the last `ago_s` seconds; empty for fewer than 3."""
        size, width = self._size, self._width
        n_samples = min(round(ago_s * self._rate), len(self._frames) * self._frame_samples)
        n_steps = (n_samples - width - 1) // size
        if n_steps < 3:
            return np.empty(0)
        n_frames = math.ceil(n_samples / self._frame_samples)
        samples = np.concatenate(list(self._frames)[-n_frames:]).astype(np.float64)
        samples = samples[-(n_steps * size + width + 1) :]
        # Attenuate the highest frequencies: in soft speech they are hiss.
        samples = (samples[1:] + samples[:-1]) / 2
        total = np.cumsum(samples)
        half = width // 2
        band = samples[half : half - width] - (total[width:] - total[:-width]) / width
        power = np.einsum("ij,ij->i", steps := band.reshape(n_steps, size), steps) / size
        return np.asarray(10 * np.log10(np.convolve(power, np.full(3, 1 / 3), "same") + 1e-12))

    def _ago_s(self, level: Float64, step: int) -> float:
        """Return the time at which a step begins."""
        return ((len(level) - step) * self._size + self._width / 2) / self._rate

    def _index(self, level: Float64, ago_s: float) -> int:
        """Return the index of the step that begins nearest to a time, up to `len(level)`."""
        n_back = round((ago_s * self._rate - self._width / 2) / self._size)
        return min(max(0, len(level) - n_back), len(level))


def _floor(level: Float64) -> float:
    recorded = level[level > _SILENT_DBFS]
    return float(np.percentile(recorded if len(recorded) >= _FEWEST_RECORDED else level, 10))


Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SegmenterConfig:
    """Thresholds and durations of segmentation."""

    on_threshold: float = 0.35
    """Probability from which a frame begins speech."""
    off_threshold: float = 0.2
    """Probability below which a frame ends speech."""
    min_speech_s: float = 0.2
    """Uninterrupted speech that begins an utterance; clicks are shorter."""
    min_silence_s: float = 0.7
    """Pause that ends an utterance; pauses within a sentence are shorter."""
    pre_roll_s: float = 0.06
    """Time before the first frame of speech that belongs to the utterance, for soft onsets."""
    post_roll_s: float = 0.0
    """Time after the last frame of speech that belongs to the utterance; at most min_silence_s."""
    search_s: float = 0.6
    """Time by which the level of the audio may move a start or end before that of the detector; 0 for
    the detector's times."""
    sure_threshold: float = 0.7
    """Probability from which a frame is surely speech."""
    min_sure_s: float = 0.4
    """Sure speech, with or without breaks, from which an utterance is evidently speech."""

    def __post_init__(self) -> None:
        require(0 < self.on_threshold <= 1, "on_threshold", self.on_threshold, "above 0, at most 1")
        require(
            0 < self.off_threshold <= self.on_threshold,
            "off_threshold",
            self.off_threshold,
            f"above 0, at most on_threshold ({self.on_threshold:g})",
        )
        require(0 <= self.min_speech_s <= 5, "min_speech_s", self.min_speech_s, "0 to 5 s")
        require(0 < self.min_silence_s <= 60, "min_silence_s", self.min_silence_s, "up to 60 s")
        require(0 <= self.pre_roll_s <= 1, "pre_roll_s", self.pre_roll_s, "0 to 1 s")
        require(
            0 <= self.post_roll_s <= self.min_silence_s,
            "post_roll_s",
            self.post_roll_s,
            f"0 to min_silence_s ({self.min_silence_s:g} s)",
        )
        require(0 <= self.search_s <= 2, "search_s", self.search_s, "0 to 2 s")
        require(0 < self.sure_threshold <= 1, "sure_threshold", self.sure_threshold, "above 0 to 1")
        require(0 <= self.min_sure_s <= 5, "min_sure_s", self.min_sure_s, "0 to 5 s")


@dataclass(frozen=True)
class SpeechBoundary:
    """Start or end of an utterance."""

    kind: str
    """`start` or `end`, in turns, beginning with `start`."""
    at_s: float
    """Stream time of the start or end, in seconds."""
    sure_s: float
    """Stream time at which it was decided, in seconds: the end of a frame or of the stream."""
    evident: bool = True
    """For an end: whether the utterance evidently was speech, not a noise."""


class Segmenter:
    """Segment a stream into utterances, independently of the chunk size.

    Stream time counts in seconds from the first sample, or from the argument of `reset`. Memory is
    constant: the last seconds of audio are held, about 2 with the default settings.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        sample_rate: int,
        settings: SegmenterConfig | None = None,
    ) -> None:
        """Begin at stream time 0.

        Args:
            detector: voice detector, not shared with other segmenters.
            sample_rate: Hz of the pushed samples; they are resampled for the detector if necessary.
            settings: None for the defaults.

        Raises:
            AudioError: unsupported sample rate.
        """
        self.settings = settings or SegmenterConfig()
        self._detector = detector
        self._sample_rate = sample_rate
        self._frame_s = detector.frame_samples / detector.sample_rate
        self._level = self._open_level() if self.settings.search_s else None
        self._restart(0.0)

    @property
    def frame_s(self) -> float:
        """Seconds per frame of the detector."""
        return self._frame_s

    @property
    def speaking(self) -> bool:
        """Whether an utterance is in progress."""
        return self._speaking

    @property
    def evident(self) -> bool:
        """Whether the utterance, or a possible one, holds enough sure speech."""
        return self._n_sure * self._frame_s >= self.settings.min_sure_s - 1e-6

    @property
    def probability(self) -> float:
        """Probability of speech in the last complete frame, in [0, 1]; 0 before the first."""
        return self._probability

    @property
    def end_s(self) -> float:
        """Stream time of the end of the pushed samples, in seconds."""
        return self._origin_s + self._n_pushed / self._sample_rate

    def push(self, samples: Float32) -> tuple[SpeechBoundary, ...]:
        """Take the next samples [n] of the stream and return the boundaries decided by them."""
        self._n_pushed += len(samples)
        return self._detect(self._resampler.push(samples))

    def flush(self) -> tuple[SpeechBoundary, ...]:
        """End the stream and an utterance in progress; later samples begin a new stream.

        Stream time continues from `end_s`. Speech shorter than `min_speech_s` is no utterance.
        """
        end_s = self.end_s
        boundaries = self._detect(self._resampler.push(np.empty(0, dtype=np.float32), last=True))
        if self._speaking:
            at_s = end_s if self._in_speech else self._end_s(end_s)
            boundaries += (SpeechBoundary("end", at_s, end_s, self.evident),)
        self.reset(end_s)
        return boundaries

    def reset(self, at_s: float) -> None:
        """Drop all state, an utterance in progress too, and continue at stream time `at_s`."""
        self._detector.reset()
        self._restart(at_s)

    def _open_level(self) -> SpeechLevel:
        settings, detector = self.settings, self._detector
        # A boundary is decided at the frame that completes its duration.
        return SpeechLevel(
            detector.sample_rate,
            detector.frame_samples,
            settings.search_s,
            start_s=settings.min_speech_s + self._frame_s,
            end_s=settings.min_silence_s + self._frame_s,
        )

    def _restart(self, at_s: float) -> None:
        self._origin_s = at_s
        self._n_pushed = 0
        self._resampler = Resampler(self._sample_rate, self._detector.sample_rate)
        self._pending: Float32 = np.empty(0, dtype=np.float32)
        self._n_frames = 0
        self._probability = 0.0
        self._in_speech = False
        self._speaking = False
        self._speech_from = 0
        self._quiet_from = 0
        self._n_sure = 0
        """Number of sure frames since the speech began."""
        self._not_before_s = at_s
        """End of the previous utterance."""
        self._began_s = at_s
        if self._level is not None:
            self._level.reset()

    def _detect(self, samples: Float32) -> tuple[SpeechBoundary, ...]:
        """Push every complete frame of the pending samples and `samples` to the detector."""
        size = self._detector.frame_samples
        pending = np.concatenate([self._pending, samples]) if len(self._pending) else samples
        n_complete = len(pending) // size * size
        boundaries = []
        for start in range(0, n_complete, size):
            frame = pending[start : start + size]
            self._probability = self._detector.push(frame)
            if self._level is not None:
                self._level.push(frame)
            boundary = self._step()
            if boundary is not None:
                boundaries.append(boundary)
        self._pending = pending[n_complete:].copy()
        return tuple(boundaries)

    def _step(self) -> SpeechBoundary | None:
        """Update the state with the probability of the last frame."""
        settings = self.settings
        was_in_speech = self._in_speech
        self._in_speech = self._probability >= (
            settings.off_threshold if was_in_speech else settings.on_threshold
        )
        if self._in_speech and not was_in_speech:
            self._speech_from = self._n_frames
            self._n_sure = self._n_sure if self._speaking else 0
        elif was_in_speech and not self._in_speech:
            self._quiet_from = self._n_frames
        self._n_sure += self._probability >= settings.sure_threshold
        self._n_frames += 1
        now_s = self._time(self._n_frames)
        if self._speaking:
            if self._in_speech or not self._lasted(self._quiet_from, settings.min_silence_s):
                return None
            self._speaking = False
            self._not_before_s = self._end_s(now_s)
            return SpeechBoundary("end", self._not_before_s, now_s, self.evident)
        if not self._in_speech or not self._lasted(self._speech_from, settings.min_speech_s):
            return None
        self._speaking = True
        self._began_s = self._start_s()
        return SpeechBoundary("start", self._began_s, now_s)

    def _start_s(self) -> float:
        """Return the start of the speech in progress."""
        detected_s = self._time(self._speech_from)
        start_s = detected_s - self.settings.pre_roll_s
        if self._level is not None:
            now_s = self._time(self._n_frames)
            ago_s = self._level.start(now_s - detected_s, now_s - self._not_before_s)
            start_s = min(start_s, now_s - ago_s)
        return max(start_s, self._not_before_s)

    def _end_s(self, sure_s: float) -> float:
        """Return the end of the speech before the pause that lasts until `sure_s`."""
        end_s = self._time(self._quiet_from)
        if self._level is not None:
            now_s = self._time(self._n_frames)
            end_s = now_s - self._level.end(now_s - end_s, now_s - self._began_s)
        return min(end_s + self.settings.post_roll_s, sure_s)

    def _lasted(self, since: int, duration_s: float) -> bool:
        # A small tolerance: durations in seconds are not exact multiples of frames.
        return (self._n_frames - since) * self._frame_s >= duration_s - 1e-6

    def _time(self, frame: int) -> float:
        """Return the stream time at which a frame begins."""
        return self._origin_s + frame * self._frame_s
