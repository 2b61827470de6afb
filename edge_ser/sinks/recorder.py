"""Sink that records audio and events, for a site's own calibration set and later review.

**Recordings contain speech**: files are readable by their owner only (0600, a created directory 0700),
and nothing leaves the machine. Inform the people who are recorded.

A segment is a pair of files, `heard-00000042-20260321T101530Z.wav` and `.jsonl`. The number orders
them, as the wall clock may step back; it continues over restarts. Audio is 16-bit mono WAV at the rate
of the source: audio captured with 16 bits is stored exactly, and unfinished files are readable, unlike
FLAC. Until a segment is finished its header has the size that arecord writes to a pipe, "unknown"; so a
crash leaves a readable file, and the next start fills in the size.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError
from edge_ser.recognition.events import (
    DeviceLost,
    Emotion,
    Event,
    Overrun,
    Recorded,
    SpeechEnd,
    SpeechStart,
    to_json,
)
from edge_ser.sinks.base import BaseSink
from edge_ser.sinks.segments import Segment, SegmentStore

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import SourceItem
    from edge_ser.recognition.streaming import StreamingRecognizer


MARGIN = 0.15
"""Difference of the two largest probabilities below which a result is close."""

QUICK_S = 1.5
"""Seconds below which a label that is replaced counts as a quick change."""


@dataclass(frozen=True)
class Utterance:
    """Utterance that ended, and the reasons for a close result."""

    end: SpeechEnd
    reasons: tuple[str, ...]
    """Subset of `margin`, `changes`, `abstained`; empty for a result that was not close."""

    @property
    def start_s(self) -> float:
        """Stream time of its start."""
        return self.end.start_s

    @property
    def end_s(self) -> float:
        """Stream time of its end."""
        return self.end.at_s

    def recorded(self, file: str, from_s: float, to_s: float) -> Recorded:
        """Return the event with the position of the utterance in a recording."""
        end = self.end
        return Recorded(
            seq=end.seq,
            source=end.source,
            at_s=end.at_s,
            monotonic_s=end.monotonic_s,
            time=end.time,
            file=file,
            from_s=from_s,
            to_s=to_s,
            label=end.label,
            confidence=end.confidence or 0.0,
            abstained=end.abstained,
            probs=end.probs,
            near_miss=bool(self.reasons),
            reasons=self.reasons,
        )


class UtteranceWatch:
    """Follow the events of a stream; return each utterance that ends with a result."""

    def __init__(self) -> None:
        self._labels: list[tuple[float, str]] = []
        """Stream time and label of each change within the utterance."""

    def take(self, event: Event) -> Utterance | None:
        """Process an event; return the utterance that it ends, if that has a result."""
        if isinstance(event, SpeechStart):
            self._labels = []
        elif isinstance(event, Emotion) and event.label is not None:
            self._labels.append((event.at_s, event.label))
        elif isinstance(event, SpeechEnd):
            labels, self._labels = self._labels, []
            if event.probs:
                return Utterance(event, _reasons(event, labels))
        return None


def _reasons(end: SpeechEnd, labels: list[tuple[float, str]]) -> tuple[str, ...]:
    first, second = sorted((*end.probs.values(), 0.0), reverse=True)[:2]
    pairs = itertools.pairwise(labels)
    quick = any(b[0] - a[0] < QUICK_S and a[1] != b[1] for a, b in pairs)
    reasons = {"margin": first - second < MARGIN, "changes": quick, "abstained": end.abstained}
    return tuple(name for name, holds in reasons.items() if holds)


Float32 = NDArray[np.float32]

SMALLEST_LIMIT_MB = 1.0
PENDING_BYTES = 4_000_000
"""Bytes that may wait for a slow disk: two minutes at 16 kHz, 40 seconds at 48 kHz."""
RETRY_S = 60.0
"""Seconds between attempts while the disk is full or missing."""

_GATHER_S = 0.5
"""Seconds between writes; a SIGKILL loses at most this much audio."""
_PIECE_BYTES = 65_536
_JOIN_S = 20.0
"""Seconds that `close` waits for an unresponsive disk."""


@dataclass(frozen=True)
class _Audio:
    pcm: bytes
    sample_rate: int
    continues: bool
    """Whether it continues the previous audio without a gap."""
    at_s: float
    """Stream time of the first sample."""


_Item = _Audio | Utterance | bytes
_N_SPANS = 8
"""Number of latest segments that are searched for an utterance."""


class Recorder(BaseSink):
    """Record segments in a thread, so that a slow SD card never delays recognition.

    Audio that does not fit into memory while the disk is slow, full or missing is dropped, counted and
    reported. A segment has no gaps: after lost audio the next segment begins.

    Args:
        directory: created if missing; other files in it are not changed.
        limit_mb: size limit, met by deleting the oldest segments (1 MB is 1e6 bytes, counted in
            blocks of 4096).
        segment_s: seconds of audio after which the next segment begins.
        retry_s: seconds between attempts to write after an error.
        wall_clock: seconds since 1970, for the names.
        on_message: called with the messages of `news`, after each item of a source and at the end;
            None to leave them to the caller.

    Raises:
        ConfigError: the directory cannot be written, another recorder uses it, or a limit is out of
            range.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        limit_mb: float = 1000.0,
        segment_s: float = 300.0,
        retry_s: float = RETRY_S,
        wall_clock: Callable[[], float] = time.time,
        on_message: Callable[[str], object] | None = None,
    ) -> None:
        if not limit_mb >= SMALLEST_LIMIT_MB:
            raise ConfigError(
                f"expected a limit of at least {SMALLEST_LIMIT_MB:g} MB for recordings, got "
                f"{limit_mb:g} MB"
            )
        if not segment_s > 0:
            raise ConfigError(f"expected segments longer than 0 s, got {segment_s:g} s")
        self._store = SegmentStore(Path(directory), int(limit_mb * 1e6), wall_clock)
        self._segment_s, self._retry_s = segment_s, retry_s
        self._on_message = on_message
        self._waiting: deque[_Item] = deque()
        self._watch = UtteranceWatch()
        self._at_s = 0.0
        self._spans: deque[Segment] = deque(maxlen=_N_SPANS)
        self._n_waiting = 0
        self._changed = threading.Condition()
        self._closing = False
        self._continues = False
        self._lost_s = 0.0
        self._paused: str | None = None
        self._slow: str | None = None
        self._messages: deque[str] = deque(maxlen=20)
        self._segment: Segment | None = None
        self._early: deque[bytes] = deque(maxlen=100)
        self._retry_at = float("-inf")
        if self._store.repaired:
            self._messages.append(f"{self._store.repaired} unfinished recordings were finished")
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Reason why nothing is recorded now; None while recording works."""
        return self._paused or self._slow

    @property
    def lost_s(self) -> float:
        """Seconds of audio that were not recorded."""
        return self._lost_s

    def news(self) -> tuple[str, ...]:
        """Return messages for the user since the last call: each problem and its end once."""
        with self._changed:
            messages = tuple(self._messages)
            self._messages.clear()
        return messages

    def audio(self, samples: Float32, sample_rate: int, at_s: float | None = None) -> None:
        """Record audio [n_samples] in [-1, 1] at `sample_rate` Hz; never blocks.

        `at_s` is the stream time of the first sample; None to continue the previous audio.
        """
        if at_s is not None:
            self._at_s = at_s
        scaled = np.clip(np.rint(samples * np.float32(32_768)), -32_768, 32_767)
        pcm = np.nan_to_num(scaled).astype("<i2").tobytes()
        with self._changed:
            if self._closing:
                return
            for at in range(0, len(pcm), _PIECE_BYTES):
                piece = pcm[at : at + _PIECE_BYTES]
                self._add_audio(piece, sample_rate)
                self._at_s += len(piece) / 2 / sample_rate

    def write(self, event: Event) -> None:
        """Record an event; after one that reports lost audio, a new segment begins."""
        line = to_json(event).encode() + b"\n"
        with self._changed:
            if self._closing:
                return
            if isinstance(event, (Overrun, DeviceLost)):
                self._continues = False
            if self._n_waiting + len(line) <= PENDING_BYTES:
                self._put(line, len(line))
                if (utterance := self._watch.take(event)) is not None:
                    self._put(utterance, 0)

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:  # noqa: ARG002
        """Pass messages for the user to `on_message`."""
        self._report()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the recording, and pass messages for the user to `on_message`."""
        self.close()
        self._report()

    def close(self) -> None:
        """Write waiting data, finish the segment and release the directory. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            with self._changed:
                self._messages.append(
                    "recordings: the disk does not respond, the last ones are not finished"
                )

    def _report(self) -> None:
        if self._on_message is not None:
            for message in self.news():
                self._on_message(message)

    def _add_audio(self, pcm: bytes, sample_rate: int) -> None:
        if self._n_waiting + len(pcm) <= PENDING_BYTES:
            self._put(_Audio(pcm, sample_rate, self._continues, self._at_s), len(pcm))
            self._continues = True
            return
        self._count_loss(len(pcm) / 2 / sample_rate)
        if self._slow is None:
            self._slow = "the disk is too slow for recordings, audio is not recorded"
            self._messages.append(self._slow)

    def _put(self, item: _Item, size: int) -> None:
        self._waiting.append(item)
        self._n_waiting += size
        if self._n_waiting >= _PIECE_BYTES:
            self._changed.notify_all()

    def _count_loss(self, seconds: float) -> None:
        self._lost_s += seconds
        self._continues = False

    def _work(self) -> None:
        """Run the thread: write waiting data until closed."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._n_waiting >= _PIECE_BYTES, _GATHER_S
                )
                closing = self._closing
            while (item := self._next_item()) is not None:
                self._record(item)
            if closing:
                break
        if self._segment is not None:
            with contextlib.suppress(OSError):  # readable as it is; finished at the next start
                self._store.finish(self._segment)
        self._store.close()

    def _next_item(self) -> _Item | None:
        with self._changed:
            if not self._waiting:
                if self._slow is not None:
                    self._slow = None
                    self._report_resumed()
                return None
            item = self._waiting.popleft()
            self._n_waiting -= _size(item)
            return item

    def _record(self, item: _Item) -> None:
        """Write an item, or drop it while writing fails."""
        try:
            if time.monotonic() < self._retry_at:
                raise _Waiting
            if isinstance(item, _Audio):
                self._record_audio(item)
            elif isinstance(item, Utterance):
                self._record_utterance(item)
            else:
                self._record_event(item)
        except _Waiting:
            self._drop(item)
        except OSError as error:
            self._pause(error)
            self._drop(item)

    def _record_audio(self, item: _Audio) -> None:
        segment = self._segment
        if segment is not None and (
            not item.continues
            or segment.sample_rate != item.sample_rate
            or segment.n_audio_bytes >= 2 * self._segment_s * item.sample_rate
            or self._store.is_full(segment)
        ):
            self._segment = None
            self._store.finish(segment)
        if self._segment is None:
            self._segment = self._store.begin(item.sample_rate, item.at_s)
            self._spans.append(self._segment)
            while self._early:
                self._store.append(self._segment, event=self._early.popleft())
        self._store.append(self._segment, pcm=item.pcm)
        if self._paused is not None:
            with self._changed:
                self._paused = None
                self._report_resumed()

    def _record_event(self, line: bytes) -> None:
        if self._segment is None or self._store.is_full(self._segment):
            self._early.append(line)
        else:
            self._store.append(self._segment, event=line)

    def _record_utterance(self, utterance: Utterance) -> None:
        """Record the position of an utterance, unless most of it was lost."""
        held = [(segment, _overlap_s(segment, utterance)) for segment in self._spans]
        segment, held_s = max(held, key=lambda pair: pair[1], default=(None, 0.0))
        if segment is None or held_s < (utterance.end_s - utterance.start_s) / 2:
            return
        recorded = utterance.recorded(
            segment.name,
            max(0.0, utterance.start_s - segment.at_s),
            min(segment.end_s, utterance.end_s) - segment.at_s,
        )
        self._record_event(to_json(recorded).encode() + b"\n")

    def _pause(self, error: OSError) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.suppress(OSError):
                self._store.finish(segment)
        self._retry_at = time.monotonic() + self._retry_s
        with self._changed:
            if self._paused is None:
                self._messages.append(
                    f"recordings are paused: {self._store.directory} cannot be written "
                    f"({error.strerror}); free space or choose another directory; it is tried again "
                    f"every {self._retry_s:g} s"
                )
            self._paused = f"recordings are paused ({error.strerror})"

    def _drop(self, item: _Item) -> None:
        if isinstance(item, _Audio):
            with self._changed:
                self._count_loss(len(item.pcm) / 2 / item.sample_rate)

    def _report_resumed(self) -> None:
        self._messages.append(f"recordings continue; so far {self._lost_s:.1f} s were not recorded")


def _size(item: _Item) -> int:
    """Return the bytes that an item counts while it waits."""
    if isinstance(item, Utterance):
        return 0
    return len(item.pcm if isinstance(item, _Audio) else item)


def _overlap_s(segment: Segment, utterance: Utterance) -> float:
    """Return the seconds of an utterance that a segment holds."""
    return min(segment.end_s, utterance.end_s) - max(segment.at_s, utterance.start_s)


class _Waiting(Exception):
    """Writing failed, and it is too early for the next attempt."""
