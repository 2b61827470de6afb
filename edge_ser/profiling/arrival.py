"""How audio arrives: as fast as it is taken, in real time, in bursts, or from a live source."""

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
"""What `--arrival` takes."""

BURST_S = 1.0


@dataclass(frozen=True, eq=False)
class Arrived:
    """What is handed over, and when its last sample was captured."""

    signal: SourceItem
    captured_ns: int | None
    """None for signals without audio."""
    spaced: bool
    """Whether the samples before were captured in real time, one after the other; else all at once."""


class Feed(Protocol):
    """Where a lane's audio comes from. One feed is one stream: it goes on where it stopped."""

    def resume(self) -> None:
        """Begin a block: time that passed since the last one does not count as lateness."""

    def next(self) -> Arrived:
        """Wait for the next piece.

        Raises:
            AudioError: the source broke.
        """


class SoundFeed:
    """Pieces of a sound, one of ARRIVALS.

    Args:
        sound: what is heard.
        arrival: a key of ARRIVALS.
        clock: by which pieces are due.
        chunk_s: seconds of a piece, as a sound card hands it over.
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
            # What is late in a burst is the delivery; latency counts from there, so that it holds
            # what the machine is to blame for: waiting behind the rest of the burst.
            n_bursts = -(-self._n // self._a_burst)
            captured_ns = self._begun_ns + n_bursts * self._a_burst * self._chunk_ns
            self._clock.sleep_until(captured_ns)
        chunk = AudioChunk(next(self._pieces), self._rate, captured_ns / 1e9 if spaced else None)
        return Arrived(chunk, captured_ns, spaced)


class LiveFeed:
    """A live source, such as a microphone, as it comes."""

    def __init__(self, signals: Callable[[], SourceItem]) -> None:
        """Take what hands over the next signal, e.g. `iter(source).__next__`."""
        self._next = signals

    def resume(self) -> None:
        """Nothing: what was captured meanwhile is late, and that is true."""

    def next(self) -> Arrived:
        """Wait for the source.

        Raises:
            AudioError: it ended, or cannot be read on.
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
