"""Base class of sinks: the methods of `recognition.listen.EventSink` as no-ops."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source, SourceItem
    from edge_ser.recognition.events import Event
    from edge_ser.recognition.prediction import Float32
    from edge_ser.recognition.streaming import StreamingRecognizer


class BaseSink:
    """Sink that ignores everything. Derive from it and override methods, usually `write`."""

    def __enter__(self) -> BaseSink:
        """Open the sink, before any source is opened."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sink, after all sources are closed."""

    def start(self, source: Source) -> None:
        """Note that a source is open."""

    def audio(self, samples: Float32, sample_rate: int, at_s: float) -> None:
        """Receive audio before it is recognised.

        Args:
            samples: float32 [n_samples] in [-1, 1].
            sample_rate: Hz.
            at_s: stream time of the first sample, in seconds.
        """

    def write(self, event: Event) -> None:
        """Receive an event."""

    def update(self, item: SourceItem, stream: StreamingRecognizer) -> None:
        """Note that an item of the source has been handled and its events written.

        Args:
            item: the item of the source.
            stream: the stream, with its time, state and counts.
        """

    def stop(self) -> None:
        """Note that the source ends, before it is closed."""
