"""The one loop over a source: source -> stream -> events -> sinks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Protocol

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import Source, SourceItem
from edge_ser.recognition.events import Event
from edge_ser.recognition.prediction import Float32
from edge_ser.recognition.streaming import StreamingRecognizer


class EventSink(Protocol):
    """Consumer of events; see `sinks.base.BaseSink` for each method, and to derive from."""

    def __enter__(self) -> EventSink:
        """Open the sink."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sink."""

    def start(self, source: Source) -> None:
        """Note that a source is open."""

    def audio(self, samples: Float32, sample_rate: int, at_s: float) -> None:
        """Take audio before it is recognised."""

    def write(self, event: Event) -> None:
        """Take an event."""

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Note that an item of the source has been handled."""

    def stop(self) -> None:
        """Note that the source ends."""


def listen(
    source: Source,
    open_stream: Callable[[Source], StreamingRecognizer],
    sinks: Sequence[EventSink] = (),
    *,
    limit_s: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Yield the events of a source until it ends; each sink has got an event before it is yielded.

    Args:
        source: is opened here, and closed at the end or when the generator is closed.
        open_stream: returns the stream of an open source.
        sinks: open sinks, called in this order.
        limit_s: seconds of stream time after which to stop; None for no limit.
        stopped: returns whether to stop; called after each item of the source, at least once a second
            for a live one.

    Raises:
        AudioError: the source cannot be opened or read, or a clip holds nothing to recognise.
    """
    with source:
        for sink in sinks:
            sink.start(source)
        try:
            stream = open_stream(source)
            reason = yield from _push_all(source, stream, sinks, limit_s, stopped)
            yield from _written(stream.finish(reason), sinks)
        finally:
            for sink in sinks:
                sink.stop()


def ends(source: Source) -> bool:
    """Return whether a source ends by itself; one that does not say so ends unless it is live."""
    return bool(getattr(source, "ends", not source.live))


def gets_clip(source: Source, *, with_detector: bool) -> bool:
    """Return whether the stream of a source ends with a `clip` event.

    A recording gets one. So does a live source that ends by itself, such as a pipe, unless a voice
    detector cuts it into utterances.
    """
    return not source.live or (ends(source) and not with_detector)


def _push_all(
    source: Source,
    stream: StreamingRecognizer,
    sinks: Sequence[EventSink],
    limit_s: float | None,
    stopped: Callable[[], bool],
) -> Generator[Event, None, str]:
    """Yield the events of all items; return the reason of the end for `StreamingRecognizer.finish`."""
    for item in source:
        if isinstance(item, AudioChunk):
            for sink in sinks:
                sink.audio(item.samples, item.sample_rate, stream.at_s)
        yield from _written(stream.push(item), sinks)
        for sink in sinks:
            sink.update(item, stream)
        if stopped() or (limit_s is not None and stream.at_s >= limit_s):
            return "asked"
    return "source"


def _written(events: Sequence[Event], sinks: Sequence[EventSink]) -> Generator[Event, None, None]:
    for event in events:
        for sink in sinks:
            sink.write(event)
        yield event
