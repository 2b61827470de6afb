"""Loop of `edge-ser run`: a list of files, or one source until its end or a signal."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.audio.io import find_audio
from edge_ser.audio.sources import FileSource
from edge_ser.audio.sources.base import Source
from edge_ser.cli.view import Output
from edge_ser.errors import AudioError, EdgeSerError
from edge_ser.recognition.events import Clip
from edge_ser.recognition.listen import EventSink, gets_clip, listen
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.recognition.streaming import StreamConfig, StreamingRecognizer
from edge_ser.vad.detectors import open_detector

_CLIPPED = 0.002
"""Share of clipped samples above which the user is warned."""

OpenSink = Callable[[Output], EventSink]
"""Function that opens a sink; it gets the output for messages to the user."""


@dataclass(frozen=True)
class Run:
    """Recognizer, stream settings and output of a run."""

    recognizer: Recognizer
    output: Output
    settings: StreamConfig
    detector: str | None
    """Name of a voice detector; None for no detector."""

    def open_stream(self, source: Source) -> StreamingRecognizer:
        """Return the stream of an open source."""
        with_detector = self.detector is not None
        return self.recognizer.open_stream(
            source.name,
            detector=None if self.detector is None else open_detector(self.detector),
            settings=self.settings,
            clip=gets_clip(source, with_detector=with_detector),
        )


def run_files(run: Run, paths: tuple[Path, ...], channel: int | None) -> None:
    """Recognise every file.

    Raises:
        EdgeSerError: some files could not be recognised; each was reported.
    """
    failed = 0
    with run.output:
        for named in paths:
            try:
                files = find_audio(named)
            except AudioError as error:
                run.output.problem(str(error))
                failed += 1
                continue
            for path in files:
                try:
                    _run_file(run, path, channel)
                except AudioError as error:
                    run.output.problem(str(error))
                    failed += 1
    if failed:
        raise EdgeSerError("some inputs could not be recognised; see the messages above")


def _run_file(run: Run, path: Path, channel: int | None) -> None:
    for event in listen(FileSource(path, channel), run.open_stream, [run.output]):
        if isinstance(event, Clip) and event.clipped > _CLIPPED:
            run.output.note(
                f"{path}: {event.clipped:.1%} of the samples are clipped, so the result is "
                "unreliable; record with less gain"
            )


def run_source(
    run: Run, source: Source, seconds: float | None, open_sinks: Sequence[OpenSink]
) -> None:
    """Listen to a source until its end, for `seconds` of audio, or until a signal arrives.

    The first Ctrl-C or SIGTERM ends it cleanly: the open utterance is finished, its events are written
    and the summary is printed. The second ends it at once.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_stop_on_signals())
        output = stack.enter_context(run.output)
        sinks: list[EventSink] = [output]
        sinks += [stack.enter_context(open_sink(output)) for open_sink in open_sinks]
        events = listen(source, run.open_stream, sinks, limit_s=seconds, stopped=lambda: stop.asked)
        for _ in events:
            pass
        remark = getattr(source, "remark", None)
        if remark:
            output.note(remark)


class Stop:
    """Stop request, set by a signal handler."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """Request the end; a second request raises KeyboardInterrupt."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM, which a service manager sends, into a stop request."""
    stop = Stop()
    before = {name: signal.signal(name, stop.ask) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
