"""Where speech begins and ends by its level: finer than a detector of speech tells it.

A detector's probability rises late on soft onsets and falls late after the last word. The level has
no such inertia, but it takes any sound for speech: so it only moves a time that a detector gave.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
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
        self, sample_rate: int, frame_samples: int, look_s: float, start_s: float, end_s: float
    ) -> None:
        """Begin with nothing.

        Args:
            sample_rate: Hz.
            frame_samples: samples of each frame that will be pushed.
            look_s: how much earlier than a detector's start or end is looked.
            start_s: how long before the question a detector's start lies.
            end_s: the same of its end.
        """
        self._rate = sample_rate
        self._size = round(STEP_S * sample_rate)
        self._width = round(_HUM_S * sample_rate)
        self._look_s = look_s
        held_s = max(start_s + look_s + _FLOOR_S, end_s + max(look_s, LOUDEST_S))
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
        level = self._level(min(detected_s + self._look_s + _FLOOR_S, since_s))
        detected = self._place(level, detected_s)
        before = level[:detected]
        if len(before) < _FEWEST or detected == len(level):
            return detected_s
        loudest, floor = float(level[detected:].max()), _floor(before)
        above = QUIET_ABOVE_DB if loudest - floor >= RANGE_DB else ABOVE_FLOOR_DB
        loud = before > max(loudest - RANGE_DB, floor + above)
        first = detected
        for place in np.flatnonzero(loud)[::-1].tolist():
            if first - place > GAP_S / STEP_S + 1 or detected - place > self._look_s / STEP_S:
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
        level = self._level(min(detected_s + max(self._look_s, LOUDEST_S), since_s))
        detected = self._place(level, detected_s)
        speech, pause = level[:detected], level[detected + round(_DECAY_S / STEP_S) :]
        if len(speech) == 0 or len(pause) < _FEWEST:
            return detected_s
        loudest = float(speech.max())
        if loudest - _floor(pause) < SEEN_DB:
            return detected_s
        first = max(0, detected - round(self._look_s / STEP_S))
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
