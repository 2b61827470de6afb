"""Arrival of audio: as fast as it is processed, in real time, in bursts, or from a live source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from edge_ser._util.records import require
from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources.base import SourceItem
from edge_ser.errors import AudioError
from edge_ser.profiling.clock import Clock
from edge_ser.profiling.sound import Float32, Sound

ARRIVALS = {
    "closed": "the next piece as soon as the last one is done: a machine that is never idle",
    "paced": "a piece when its last sample would have been captured: the idle times of real use",
    "bursty": "a second of pieces at once, then silence until the next: clocks go down in between",
}
"""Values of `--arrival`, with descriptions."""

BURST_S = 1.0


@dataclass(frozen=True, eq=False)
class Arrived:
    """Item of a source, and the time at which its last sample was captured."""

    signal: SourceItem
    captured_ns: int | None
    """None for items without audio."""
    spaced: bool
    """Whether the earlier samples were captured in real time; otherwise all at once."""


class Feed(Protocol):
    """Audio source of one benchmark. A feed is one stream: it continues where it stopped."""

    def resume(self) -> None:
        """Begin a block: the time since the last block does not count as delay."""

    def next(self) -> Arrived:
        """Wait for the next piece.

        Raises:
            AudioError: the source failed.
        """


class SoundFeed:
    """Pieces of a sound, timed by one of ARRIVALS.

    Args:
        sound: the audio.
        arrival: a key of ARRIVALS.
        clock: determines when pieces are due.
        chunk_s: length of a piece in seconds, as a sound card delivers it.
    """

    def __init__(self, sound: Sound, arrival: str, clock: Clock, chunk_s: float) -> None:
        require(arrival in ARRIVALS, "arrival", arrival, "one of " + ", ".join(ARRIVALS))
        self._pieces: Iterator[Float32] = sound.pieces(chunk_s)
        self._rate = sound.sample_rate
        self._chunk_ns = round(1e9 * max(1, round(chunk_s * self._rate)) / self._rate)
        self._arrival = arrival
        self._clock = clock
        self._a_burst = max(1, round(BURST_S / chunk_s))
        self.resume()

    def resume(self) -> None:
        """Begin a block now."""
        self._begun_ns = self._clock.now_ns()
        self._n = 0

    def next(self) -> Arrived:
        """Wait until the next piece is due, and return it."""
        self._n += 1
        spaced = self._arrival == "paced"
        if self._arrival == "closed":
            captured_ns = self._clock.now_ns()
        elif spaced:
            captured_ns = self._begun_ns + self._n * self._chunk_ns
            self._clock.sleep_until(captured_ns)
        else:
            # In a burst the delivery is late. Latency is measured from the delivery, so that it
            # includes only the time spent waiting behind the rest of the burst.
            n_bursts = -(-self._n // self._a_burst)
            captured_ns = self._begun_ns + n_bursts * self._a_burst * self._chunk_ns
            self._clock.sleep_until(captured_ns)
        chunk = AudioChunk(next(self._pieces), self._rate, captured_ns / 1e9 if spaced else None)
        return Arrived(chunk, captured_ns, spaced)


class LiveFeed:
    """Audio of a live source, such as a microphone."""

    def __init__(self, items: Callable[[], SourceItem]) -> None:
        """Create a feed from a function that returns the next item, e.g. `iter(source).__next__`."""
        self._next = items

    def resume(self) -> None:
        """Do nothing: audio captured in the meantime counts as late."""

    def next(self) -> Arrived:
        """Wait for the source.

        Raises:
            AudioError: it ended, or cannot be read any further.
        """
        try:
            signal = self._next()
        except StopIteration:
            raise AudioError(
                "the source ended before the profile did; keep it open, or give --wav"
            ) from None
        captured_s = signal.captured_s if isinstance(signal, AudioChunk) else None
        captured_ns = None if captured_s is None else round(1e9 * captured_s)
        return Arrived(signal, captured_ns, spaced=True)
