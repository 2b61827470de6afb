"""Cuts a stream into utterances: from the probability of speech to where each begins and ends.

The detector says which utterances there are, the level of the audio dates their ends more finely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.records import require
from edge_ser.audio import Resampler
from edge_ser.runtime.speech_level import SpeechLevel
from edge_ser.runtime.voice import VoiceDetector

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SegmenterSettings:
    """When speech is an utterance, and how long a pause ends it."""

    threshold: float = 0.35
    """A frame of at least this probability is speech."""
    release: float = 0.2
    """After speech, frames of at least this probability still are."""
    min_speech_s: float = 0.2
    """An utterance begins once so much speech came without a break: clicks are shorter."""
    min_silence_s: float = 0.7
    """An utterance ends after so much without speech: the pauses of a sentence are shorter."""
    lead_s: float = 0.06
    """How much earlier than the first frame of speech an utterance begins: soft onsets."""
    tail_s: float = 0.0
    """How much later than the last frame of speech it ends; at most min_silence_s."""
    look_s: float = 0.6
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
        require(0 <= self.lead_s <= 1, "lead_s", self.lead_s, "0 to 1 s")
        require(
            0 <= self.tail_s <= self.min_silence_s,
            "tail_s",
            self.tail_s,
            f"0 to min_silence_s ({self.min_silence_s:g} s)",
        )
        require(0 <= self.look_s <= 2, "look_s", self.look_s, "0 to 2 s")
        require(0 < self.sure_threshold <= 1, "sure_threshold", self.sure_threshold, "above 0 to 1")
        require(0 <= self.min_sure_s <= 5, "min_sure_s", self.min_sure_s, "0 to 5 s")


@dataclass(frozen=True)
class Boundary:
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
        settings: SegmenterSettings | None = None,
    ) -> None:
        """Begin at stream time 0.

        Args:
            detector: what says whether somebody speaks; this segmenter's alone from now on.
            sample_rate: Hz, of what will be pushed; resampled where the detector wants another.
            settings: None for the defaults.

        Raises:
            AudioError: a sample rate that cannot be speech.
        """
        self.settings = settings or SegmenterSettings()
        self._detector = detector
        self._sample_rate = sample_rate
        self._frame_s = detector.frame_samples / detector.sample_rate
        self._level = self._open_level() if self.settings.look_s else None
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

    def push(self, samples: Float32) -> tuple[Boundary, ...]:
        """Take the next samples [n] of the stream and return the boundaries that became certain."""
        self._n_pushed += len(samples)
        return self._judge(self._resampler.push(samples))

    def flush(self) -> tuple[Boundary, ...]:
        """End the stream, and with it an open utterance; what comes next is heard as a new one.

        The stream's clock goes on from `heard_s`. Speech that was too short yet is no utterance.
        """
        end_s = self.heard_s
        found = self._judge(self._resampler.push(np.empty(0, dtype=np.float32), last=True))
        if self._speaking:
            at_s = end_s if self._in_speech else self._end_s(end_s)
            found += (Boundary("end", at_s, end_s, self.evident),)
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
            settings.look_s,
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

    def _judge(self, samples: Float32) -> tuple[Boundary, ...]:
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

    def _step(self) -> Boundary | None:
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
            return Boundary("end", self._not_before_s, now_s, self.evident)
        if not self._in_speech or not self._lasted(self._speech_from, settings.min_speech_s):
            return None
        self._speaking = True
        self._began_s = self._start_s()
        return Boundary("start", self._began_s, now_s)

    def _start_s(self) -> float:
        """Return when the speech began that has just lasted long enough."""
        detected_s = self._time(self._speech_from)
        start_s = detected_s - self.settings.lead_s
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
        return min(end_s + self.settings.tail_s, sure_s)

    def _lasted(self, since: int, wanted_s: float) -> bool:
        # Half a sample's grace: seconds do not count frames exactly.
        return (self._n_frames - since) * self._frame_s >= wanted_s - 1e-6

    def _time(self, frame: int) -> float:
        """Return the stream time of the beginning of a frame."""
        return self._origin_s + frame * self._frame_s
