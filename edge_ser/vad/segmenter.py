"""Cuts a stream into utterances: from the probability of speech to where each begins and ends.

The detector says which utterances there are, the level of the audio dates their ends more finely.
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
"""The level is known in steps of this length, each averaged with its neighbours."""
RANGE_DB = 35.0
"""Speech is less than this below the loudest step near it."""
ABOVE_FLOOR_DB = 10.0
"""A start is at least this above the floor, the 10th percentile of the steps without speech."""
QUIET_ABOVE_DB = 6.0
"""So much is enough where the floor lies beyond RANGE_DB: a room is steady, as other
voices are not."""
SEEN_DB = 40.0
"""An end is sought where the floor lies so much below the loudest step: else noise may hide it."""
GAP_S = 0.2
"""Before the first words so long a quiet may be speech: the closure of a "p", a breath held."""
LATER_S = 0.3
"""An end moves later by this at most."""
LOUDEST_S = 1.5
"""An end is compared with the loudest step of the speech before it, of so many seconds."""

_HUM_S = 0.005
"""Without the mean over this, a level has no offset and little hum."""
_FLOOR_S = 0.3
"""The floor before a start is also sought so much earlier than speech is."""
_DECAY_S = 0.1
"""The floor after an end is sought so much later than a detector's end."""
_FEWEST = 10
"""A floor is sought where there are so many steps."""
_SILENT_DBFS = -90.0
"""Below the last of 16 bits nothing was recorded: a gate, or a pause that somebody put there."""
_FEWEST_RECORDED = 5
"""With so many steps above it, the others say nothing of the room."""


class SpeechLevel:
    """Hold the last seconds of a stream and say where in them speech began or ended.

    All times are in seconds before the end of what was pushed.
    """

    def __init__(
        self, sample_rate: int, frame_samples: int, search_s: float, start_s: float, end_s: float
    ) -> None:
        """Begin with nothing.

        Args:
            sample_rate: Hz.
            frame_samples: samples of each frame that will be pushed.
            search_s: how much earlier than a detector's start or end is looked.
            start_s: how long before the question a detector's start lies.
            end_s: the same of its end.
        """
        self._rate = sample_rate
        self._size = round(STEP_S * sample_rate)
        self._width = round(_HUM_S * sample_rate)
        self._search_s = search_s
        held_s = max(start_s + search_s + _FLOOR_S, end_s + max(search_s, LOUDEST_S))
        self._frame_samples = frame_samples
        self._frames: deque[Float32] = deque(maxlen=math.ceil(held_s * sample_rate / frame_samples))

    def push(self, frame: Float32) -> None:
        """Take the next frame [frame_samples]; it is copied."""
        self._frames.append(frame.copy())

    def reset(self) -> None:
        """Forget what was heard."""
        self._frames.clear()

    def start(self, detected_s: float, since_s: float) -> float:
        """Return when speech began: never later than a detector's start.

        From there it goes back while steps are loud, over gaps up to GAP_S. It is the detector's start
        where no step is, as in noise.

        Args:
            detected_s: a detector's start.
            since_s: nothing earlier than this is looked at.
        """
        level = self._level(min(detected_s + self._search_s + _FLOOR_S, since_s))
        detected = self._place(level, detected_s)
        before = level[:detected]
        if len(before) < _FEWEST or detected == len(level):
            return detected_s
        loudest, floor = float(level[detected:].max()), _floor(before)
        above = QUIET_ABOVE_DB if loudest - floor >= RANGE_DB else ABOVE_FLOOR_DB
        loud = before > max(loudest - RANGE_DB, floor + above)
        first = detected
        for place in np.flatnonzero(loud)[::-1].tolist():
            if first - place > GAP_S / STEP_S + 1 or detected - place > self._search_s / STEP_S:
                break
            first = place
        return detected_s if first == detected else self._ago_s(level, first)

    def end(self, detected_s: float, since_s: float) -> float:
        """Return when speech ended: with the last loud step near a detector's end.

        It is the detector's end where noise may hide the last of the speech.

        Args:
            detected_s: a detector's end.
            since_s: when the utterance began.
        """
        level = self._level(min(detected_s + max(self._search_s, LOUDEST_S), since_s))
        detected = self._place(level, detected_s)
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
        # The highest frequencies count less: where speech is soft they are hiss.
        samples = (samples[1:] + samples[:-1]) / 2
        total = np.cumsum(samples)
        half = width // 2
        band = samples[half : half - width] - (total[width:] - total[:-width]) / width
        power = np.einsum("ij,ij->i", steps := band.reshape(n_steps, size), steps) / size
        return np.asarray(10 * np.log10(np.convolve(power, np.full(3, 1 / 3), "same") + 1e-12))

    def _ago_s(self, level: Float64, step: int) -> float:
        """Return the time of the beginning of a step."""
        return ((len(level) - step) * self._size + self._width / 2) / self._rate

    def _place(self, level: Float64, ago_s: float) -> int:
        """Return the step that begins nearest to a time, `len(level)` for the end of the last."""
        n_back = round((ago_s * self._rate - self._width / 2) / self._size)
        return min(max(0, len(level) - n_back), len(level))


def _floor(level: Float64) -> float:
    recorded = level[level > _SILENT_DBFS]
    return float(np.percentile(recorded if len(recorded) >= _FEWEST_RECORDED else level, 10))


Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SegmenterConfig:
    """When speech is an utterance, and how long a pause ends it."""

    threshold: float = 0.35
    """A frame of at least this probability is speech."""
    release: float = 0.2
    """After speech, frames of at least this probability still are."""
    min_speech_s: float = 0.2
    """An utterance begins once so much speech came without a break: clicks are shorter."""
    min_silence_s: float = 0.7
    """An utterance ends after so much without speech: the pauses of a sentence are shorter."""
    pre_roll_s: float = 0.06
    """How much earlier than the first frame of speech an utterance begins: soft onsets."""
    post_roll_s: float = 0.0
    """How much later than the last frame of speech it ends; at most min_silence_s."""
    search_s: float = 0.6
    """How much earlier than the detector says an utterance may begin or end, by the audio's level;
    0 for the detector's times."""
    sure_threshold: float = 0.7
    """A frame of at least this probability is surely speech."""
    min_sure_s: float = 0.4
    """An utterance is evidently speech once it holds so much that surely is, breaks allowed."""

    def __post_init__(self) -> None:
        require(0 < self.threshold <= 1, "threshold", self.threshold, "above 0, at most 1")
        require(
            0 < self.release <= self.threshold,
            "release",
            self.release,
            f"above 0, at most threshold ({self.threshold:g})",
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
    """Where an utterance begins or ends."""

    kind: str
    """`start` or `end`; they take turns, a start comes first."""
    at_s: float
    """Stream time, in seconds, of the beginning or the end itself."""
    sure_s: float
    """Stream time of the frame, or of the end of the stream, that made it certain."""
    evident: bool = True
    """Of an end: whether the utterance evidently was speech, not a noise that resembles it."""


class Segmenter:
    """Tells where utterances begin and end, whatever pieces the stream comes in.

    Stream time is counted in seconds from the first sample that came, or from what `reset` said.
    Memory does not grow: of audio the last seconds are held, some 2 with the default settings.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        sample_rate: int,
        settings: SegmenterConfig | None = None,
    ) -> None:
        """Begin at stream time 0.

        Args:
            detector: what says whether somebody speaks; this segmenter's alone from now on.
            sample_rate: Hz, of what will be pushed; resampled where the detector wants another.
            settings: None for the defaults.

        Raises:
            AudioError: a sample rate that cannot be speech.
        """
        self.settings = settings or SegmenterConfig()
        self._detector = detector
        self._sample_rate = sample_rate
        self._frame_s = detector.frame_samples / detector.sample_rate
        self._level = self._open_level() if self.settings.search_s else None
        self._start_anew(0.0)

    @property
    def frame_s(self) -> float:
        """Seconds that the detector judges at once."""
        return self._frame_s

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun that has not ended."""
        return self._speaking

    @property
    def evident(self) -> bool:
        """Whether the utterance, or what may become one, holds enough that surely is speech."""
        return self._n_sure * self._frame_s >= self.settings.min_sure_s - 1e-6

    @property
    def probability(self) -> float:
        """That of speech in the last whole frame, in [0, 1]; 0 before the first."""
        return self._probability

    @property
    def heard_s(self) -> float:
        """Stream time of the end of what was pushed."""
        return self._origin_s + self._n_pushed / self._sample_rate

    def push(self, samples: Float32) -> tuple[SpeechBoundary, ...]:
        """Take the next samples [n] of the stream and return the boundaries that became certain."""
        self._n_pushed += len(samples)
        return self._judge(self._resampler.push(samples))

    def flush(self) -> tuple[SpeechBoundary, ...]:
        """End the stream, and with it an open utterance; what comes next is heard as a new one.

        The stream's clock goes on from `heard_s`. Speech that was too short yet is no utterance.
        """
        end_s = self.heard_s
        found = self._judge(self._resampler.push(np.empty(0, dtype=np.float32), last=True))
        if self._speaking:
            at_s = end_s if self._in_speech else self._end_s(end_s)
            found += (SpeechBoundary("end", at_s, end_s, self.evident),)
        self.reset(end_s)
        return found

    def reset(self, at_s: float) -> None:
        """Forget what was heard, an open utterance too, and go on at stream time `at_s`."""
        self._detector.reset()
        self._start_anew(at_s)

    def _open_level(self) -> SpeechLevel:
        settings, detector = self.settings, self._detector
        # What is asked for is sure with the frame that completes it.
        return SpeechLevel(
            detector.sample_rate,
            detector.frame_samples,
            settings.search_s,
            start_s=settings.min_speech_s + self._frame_s,
            end_s=settings.min_silence_s + self._frame_s,
        )

    def _start_anew(self, at_s: float) -> None:
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
        """Frames that surely are speech, since it began."""
        self._not_before_s = at_s
        """The end of the utterance before."""
        self._began_s = at_s
        if self._level is not None:
            self._level.reset()

    def _judge(self, samples: Float32) -> tuple[SpeechBoundary, ...]:
        """Push every whole frame of what is pending and `samples` to the detector."""
        size = self._detector.frame_samples
        pending = np.concatenate([self._pending, samples]) if len(self._pending) else samples
        n_whole = len(pending) // size * size
        found = []
        for start in range(0, n_whole, size):
            frame = pending[start : start + size]
            self._probability = self._detector.push(frame)
            if self._level is not None:
                self._level.push(frame)
            boundary = self._step()
            if boundary is not None:
                found.append(boundary)
        self._pending = pending[n_whole:].copy()
        return tuple(found)

    def _step(self) -> SpeechBoundary | None:
        """Take the last frame's probability into account."""
        settings = self.settings
        was_in_speech = self._in_speech
        self._in_speech = self._probability >= (
            settings.release if was_in_speech else settings.threshold
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
        """Return when the speech began that has just lasted long enough."""
        detected_s = self._time(self._speech_from)
        start_s = detected_s - self.settings.pre_roll_s
        if self._level is not None:
            now_s = self._time(self._n_frames)
            ago_s = self._level.start(now_s - detected_s, now_s - self._not_before_s)
            start_s = min(start_s, now_s - ago_s)
        return max(start_s, self._not_before_s)

    def _end_s(self, sure_s: float) -> float:
        """Return when the speech ended that a pause followed until `sure_s`."""
        end_s = self._time(self._quiet_from)
        if self._level is not None:
            now_s = self._time(self._n_frames)
            end_s = now_s - self._level.end(now_s - end_s, now_s - self._began_s)
        return min(end_s + self.settings.post_roll_s, sure_s)

    def _lasted(self, since: int, wanted_s: float) -> bool:
        # Half a sample's grace: seconds do not count frames exactly.
        return (self._n_frames - since) * self._frame_s >= wanted_s - 1e-6

    def _time(self, frame: int) -> float:
        """Return the stream time of the beginning of a frame."""
        return self._origin_s + frame * self._frame_s
