"""Benchmark of one model on one stream, block by block, with or without timed stages."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field

import numpy as np

from edge_ser.inference.base import Runner
from edge_ser.machine.process import CpuTime, cpu_time
from edge_ser.profiling.arrival import Arrived, Feed
from edge_ser.profiling.clock import Clock
from edge_ser.profiling.stages import CAPTURE, REST, SINK, STAGES, StageClock, observed
from edge_ser.profiling.statistics import Nanoseconds
from edge_ser.recognition.events import Event, Window, to_json
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.base import VoiceDetector


class Recording:
    """Columns of numbers, one row for each decision; about 130 bytes each."""

    def __init__(self) -> None:
        self._at = array("q")
        self._latency = array("q")
        self._window = array("q")
        self._label = array("h")
        self._stages = {stage: array("q") for stage in STAGES}

    def add(
        self, at_ns: int, latency_ns: int, window: int, label: int, spent_ns: dict[str, int]
    ) -> None:
        """Record a decision.

        Args:
            at_ns: when it was made.
            latency_ns: since its window's last sample was captured.
            window: the end of the window within the stream, in samples.
            label: index of its label in the model's labels.
            spent_ns: time of each stage within the latency.
        """
        self._at.append(at_ns)
        self._latency.append(latency_ns)
        self._window.append(window)
        self._label.append(label)
        for stage, column in self._stages.items():
            column.append(spent_ns[stage])

    def __len__(self) -> int:
        """Return the number of recorded decisions."""
        return len(self._at)

    @property
    def n_bytes(self) -> int:
        """Memory of the rows."""
        columns = (self._at, self._latency, self._window, self._label, *self._stages.values())
        return sum(column.itemsize * len(column) for column in columns)

    @property
    def at_ns(self) -> Nanoseconds:
        """Time of each decision."""
        return np.array(self._at, dtype=np.int64)

    @property
    def latency_ns(self) -> Nanoseconds:
        """From the window's last sample to the decision."""
        return np.array(self._latency, dtype=np.int64)

    @property
    def labels(self) -> dict[int, int]:
        """End of a window in samples → index of its label."""
        return dict(zip(self._window, self._label, strict=True))

    def stage_ns(self, stage: str) -> Nanoseconds:
        """Return the time of a stage in each decision's latency."""
        return np.array(self._stages[stage], dtype=np.int64)


@dataclass(frozen=True)
class Block:
    """Period in which one benchmark ran alone."""

    lane: int
    """Index of the model."""
    n_round: int
    rows: tuple[int, ...]
    """First row of the block in the benchmark's recording, and the one after the last."""
    start_ns: int
    end_ns: int
    n_decisions: int
    """All decisions, including those not recorded because caches were cold."""
    busy_ns: int
    """Processing time: from the arrival of each piece to the writing of its last event."""
    audio_s: float
    cpu: CpuTime
    stages_ns: dict[str, int] = field(default_factory=dict)
    """Time of each stage within `busy_ns`; empty without timed stages."""


class StreamBenchmark:
    """Measured stream.

    Args:
        runner: the model; other benchmarks may share it.
        feed: its audio.
        clock: clock of all times.
        detector: None for none.
        timed: whether stages are timed; otherwise only the total is.
        sink: a file descriptor that events are written to.
        baseline: as for `Recognizer`.
    """

    def __init__(
        self,
        runner: Runner,
        feed: Feed,
        clock: Clock,
        detector: VoiceDetector | None,
        *,
        timed: bool,
        sink: int,
        baseline: str | None = None,
    ) -> None:
        self._stages = StageClock(clock) if timed else None
        shared = runner if self._stages is None else observed(runner, self._stages)
        self.recognizer = Recognizer(shared, baseline=baseline)
        self._labels = {label: i for i, label in enumerate(self.recognizer.card.labels)}
        self._rate = self.recognizer.card.frontend.sample_rate
        self._feed = feed
        self._clock = clock
        self._sink = sink
        self._stream = self.recognizer.open_stream(
            "profile",
            detector=detector,
            settings=self.recognizer.stream_settings(),
            clock=lambda: clock.now_ns() / 1e9,
            probe=self._stages,
        )
        self.recording = Recording()
        self.n_silent = 0
        """Windows below the silence threshold, which the network does not get."""
        self._begin_block()

    def warm_up(self, n_decisions: int, feed: Feed | None = None) -> int:
        """Run until `n_decisions` complete windows were classified; return the number of all decisions.

        It also ends if the stream holds too little audible speech.

        Args:
            n_decisions: 1 or more.
            feed: audio that is available at once; None for the benchmark's own.
        """
        previous, self._feed = self._feed, feed or self._feed
        self._feed.resume()
        self._begin_block()
        # The first windows grow from one second; later windows are complete.
        complete_s = self.recognizer.window_s - 1e-6
        n_complete = 0
        limit_s = self.recognizer.window_s + 3 * n_decisions * self.recognizer.hop_s + 10
        while n_complete < n_decisions and self._stream.at_s < limit_s:
            n_complete += sum(w.end_s - w.start_s > complete_s for w in self._step(keep=False))
        self._feed = previous
        return self._n_decisions

    def run(self, lane: int, n_round: int, duration_ns: int) -> Block:
        """Run for `duration_ns` and return the block; its first decision is not recorded."""
        first_row = len(self.recording)
        self._feed.resume()
        self._begin_block()
        before_s = self._stream.at_s
        before = cpu_time()
        start_ns = self._clock.now_ns()
        while self._clock.now_ns() - start_ns < duration_ns:
            self._step(keep=self._n_decisions > 0)
        end_ns = self._clock.now_ns()
        return Block(
            lane,
            n_round,
            (first_row, len(self.recording)),
            start_ns,
            end_ns,
            self._n_decisions,
            self._busy_ns,
            self._stream.at_s - before_s,
            cpu_time().since(before),
            {} if self._stages is None else dict(self._spent_ns),
        )

    def _begin_block(self) -> None:
        self._n_decisions = 0
        self._busy_ns = 0
        self._spent_ns = dict.fromkeys(STAGES, 0)

    def _step(self, *, keep: bool) -> list[Window]:
        """Process one piece; return the windows that were classified."""
        arrived = self._feed.next()
        handed_ns = self._clock.now_ns()
        stages = self._stages
        if stages is not None:
            stages.begin(handed_ns)
        events = self._stream.push(arrived.signal)
        if stages is not None:
            stages(REST)
        if events:
            self._write(events)
        if stages is not None:
            stages(SINK)
        decided_ns = self._clock.now_ns()
        self._busy_ns += decided_ns - handed_ns
        if stages is not None:
            for stage, spent_ns in stages.spent_ns.items():
                self._spent_ns[stage] += spent_ns
        windows = [event for event in events if isinstance(event, Window)]
        decisions = [window for window in windows if window.label is not None]
        self._n_decisions += len(decisions)
        if keep:
            self.n_silent += len(windows) - len(decisions)
            for window in decisions:
                self._note(window, arrived, handed_ns, decided_ns)
        return decisions

    def _note(self, window: Window, arrived: Arrived, handed_ns: int, decided_ns: int) -> None:
        captured_ns = handed_ns if arrived.captured_ns is None else arrived.captured_ns
        if arrived.spaced:
            captured_ns -= round(1e9 * max(0.0, self._stream.at_s - window.end_s))
        spent_ns = dict.fromkeys(STAGES, 0) if self._stages is None else self._stages.spent_ns
        spent_ns[CAPTURE] = max(0, handed_ns - captured_ns)
        self.recording.add(
            decided_ns,
            spent_ns[CAPTURE] + decided_ns - handed_ns,
            round(window.end_s * self._rate),
            self._labels[window.label or ""],
            spent_ns,
        )

    def _write(self, events: list[Event]) -> None:
        os.write(self._sink, "".join(f"{to_json(event)}\n" for event in events).encode())
