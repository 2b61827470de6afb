"""The loop of `edge-ser run`: what a source hands over goes to the recogniser, events go out."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_ser.audio import Chunk, dbfs, find_audio
from edge_ser.cli.outputs import Output
from edge_ser.errors import AudioError, EdgeSerError
from edge_ser.runtime.events import Clip
from edge_ser.runtime.recognizer import Recognizer
from edge_ser.runtime.recorder import Recorder
from edge_ser.runtime.service import Liveness, Notifier
from edge_ser.runtime.signals import Source
from edge_ser.runtime.sources import FileSource, PcmSource
from edge_ser.runtime.streaming import StreamingRecognizer, StreamSettings
from edge_ser.runtime.vad import open_detector

_CLIPPED = 0.002
"""Share of clipped samples from which a user should hear of it."""

STARVED_S = 10.0
"""Seconds of nothing but ticks after which a source that should deliver is held to be dead."""

_METER_S = 0.1
"""Seconds of audio between two looks at the level."""


@dataclass(frozen=True)
class Run:
    """What recognises, how, and where it is shown."""

    recognizer: Recognizer
    output: Output
    settings: StreamSettings
    detector: str | None
    """Name of a voice detector, None for none."""

    def stream(self, source: str, *, file: bool, ends: bool = True) -> StreamingRecognizer:
        """Return a recogniser for a source.

        A file gets a verdict on the whole; so does a pipe that ends by itself, without a detector.
        """
        return self.recognizer.open_stream(
            source,
            detector=None if self.detector is None else open_detector(self.detector),
            settings=self.settings,
            clip=file or (self.detector is None and ends),
        )


def run_files(run: Run, paths: tuple[Path, ...], channel: int | None) -> None:
    """Recognise every file.

    Raises:
        EdgeSerError: some could not be recognised; each was named.
    """
    failed = 0
    with run.output:
        for named in paths:
            try:
                found = find_audio(named)
            except AudioError as error:
                run.output.problem(str(error))
                failed += 1
                continue
            for path in found:
                try:
                    _run_file(run, path, channel)
                except AudioError as error:
                    run.output.problem(str(error))
                    failed += 1
    if failed:
        raise EdgeSerError("some inputs could not be recognised, see above")


def _run_file(run: Run, path: Path, channel: int | None) -> None:
    stream = run.stream(str(path), file=True)
    with FileSource(path, channel) as source:
        for part in source:
            for event in stream.push(part):
                run.output.event(event)
    for event in stream.finish():
        run.output.event(event)
        if isinstance(event, Clip) and event.clipped > _CLIPPED:
            run.output.note(
                f"{path}: {event.clipped:.1%} of the samples are clipped, so the result is "
                "doubtful; record with less gain"
            )


def run_source(
    run: Run, source: Source, seconds: float | None, record: Path | None, record_limit_mb: float
) -> None:
    """Listen to a source until it ends, so many seconds are heard, or a signal asks for the end.

    The first Ctrl-C or SIGTERM ends it cleanly: what is open is finished, written and summed up. The
    second ends it at once.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_stop_on_signals())
        output = stack.enter_context(run.output)
        recorder = None
        if record is not None:
            recorder = Recorder(record, limit_mb=record_limit_mb)
            stack.callback(_close, recorder, output)
        notifier = Notifier.from_environment()
        stack.enter_context(source)
        notifier.ready(f"listening to {source.name}")
        stack.callback(notifier.stopping)
        output.note(f"listening to {source.name}; Ctrl-C ends")
        ends = isinstance(source, PcmSource) or not source.live
        stream = run.stream(source.name, file=not source.live, ends=ends)
        # A microphone always delivers, or says that it is away; a pipe may pause for hours.
        starved_after_s = None if isinstance(source, PcmSource) else STARVED_S
        liveness = Liveness(notifier, starved_after_s=starved_after_s)
        reason = _listen(stream, source, output, recorder, liveness, stop, seconds)
        for event in stream.finish(reason):
            output.event(event)
            if recorder is not None:
                recorder.event(event)
        remark = getattr(source, "remark", None)
        if remark:
            output.note(remark)


def _listen(
    stream: StreamingRecognizer,
    source: Source,
    output: Output,
    recorder: Recorder | None,
    liveness: Liveness,
    stop: Stop,
    seconds: float | None,
) -> str:
    """Hear a source; return why it ended, as `StreamingRecognizer.finish` wants it."""
    metered_s = 0.0
    for part in source:
        if isinstance(part, Chunk) and recorder is not None:
            recorder.audio(part.samples, part.sample_rate, stream.at_s)
        for event in stream.push(part):
            output.event(event)
            if recorder is not None:
                recorder.event(event)
        if isinstance(part, Chunk) and stream.at_s >= metered_s:
            metered_s = stream.at_s + _METER_S
            output.level(dbfs(part.samples), stream.voice, stream.at_s)
        elif not isinstance(part, Chunk):
            output.tick()
        if recorder is not None:
            for news in recorder.news():
                output.problem(news)
        liveness.alive(part, f"listening to {source.name}, {stream.n_windows} windows")
        if stop.asked or (seconds is not None and stream.at_s >= seconds):
            return "asked"
    return "source"


def _close(recorder: Recorder, output: Output) -> None:
    recorder.close()
    for news in recorder.news():
        output.problem(news)


class Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """Ask; whoever asks twice does not want to wait."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM as wishes while this lasts: a service manager ends us with the latter."""
    stop = Stop()
    before = {name: signal.signal(name, stop.ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
