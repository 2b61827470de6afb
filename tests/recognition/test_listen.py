"""The loop over a source: events, sinks in their order, ends, and clips of what ends by itself."""

from __future__ import annotations

import asyncio
import io
from types import SimpleNamespace

import pytest
from streams import RATE, SensitiveRunner, noise

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import FfmpegSource, FileSource, MicrophoneSource, PcmSource
from edge_ser.audio.sources.base import Idle
from edge_ser.recognition.listen import ends, listen
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.sinks.base import BaseSink


def pcm_source(seconds: float = 2.0) -> PcmSource:
    samples = (noise(round(seconds * RATE)) * 32_768).astype("<i2")
    return PcmSource(io.BytesIO(samples.tobytes()), RATE)


@pytest.fixture
def recognizer() -> Recognizer:
    return Recognizer(SensitiveRunner())


def test_a_pipe_without_a_detector_ends_with_a_clip(recognizer):
    """As `edge-ser run --stdin --no-vad` gives it."""
    kinds = [event.kind for event in recognizer.listen(pcm_source(), vad=False)]

    assert kinds[0] == "start"
    assert kinds.count("window") == 5
    assert "emotion" in kinds
    assert kinds[-2:] == ["clip", "end"]


def test_a_pipe_shorter_than_a_window_is_one_window(recognizer):
    events = list(recognizer.listen(pcm_source(0.5), vad=False))

    assert [event.kind for event in events] == ["start", "window", "emotion", "clip", "end"]
    assert events[-2].duration_s == 0.5


def test_sources_say_whether_they_end(tmp_path):
    assert ends(pcm_source())
    assert ends(FileSource(tmp_path / "a.wav"))
    assert not ends(MicrophoneSource())
    assert ends(FfmpegSource("a.mp4", live=False))
    assert not ends(FfmpegSource("rtsp://camera", live=True))


@pytest.mark.parametrize("live", [False, True])
def test_a_source_that_does_not_say_so_ends_unless_it_is_live(live):
    assert ends(SimpleNamespace(name="old", live=live)) is not live


# --- sinks -----------------------------------------------------------------------------------


class Notes(BaseSink):
    """Notes every call."""

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        self.name, self.calls = name, calls

    def note(self, what: str) -> None:
        self.calls.append((self.name, what))

    def __enter__(self) -> Notes:
        self.note("open")
        return self

    def __exit__(self, *exc: object) -> None:
        self.note("close")

    def start(self, source):
        self.note(f"start {source.name}")

    def audio(self, samples, sample_rate, at_s):
        self.note(f"audio {len(samples)} {sample_rate} {at_s:g}")

    def write(self, event):
        self.note(event.kind)

    def update(self, item, stream):
        self.note(f"update {type(item).__name__} {stream.at_s:g}")

    def stop(self):
        self.note("stop")


class Items:
    """A source of given items."""

    name, live, ends = "items", True, True

    def __init__(self, *items) -> None:
        self.items, self.calls = items, []

    def __enter__(self):
        self.calls.append(("source", "open"))
        return self

    def __exit__(self, *exc: object) -> None:
        self.calls.append(("source", "close"))

    def __iter__(self):
        yield from self.items


SECOND = AudioChunk(noise(RATE), RATE)


def test_sinks_get_all_of_a_source_in_their_order(recognizer):
    source = Items(SECOND, Idle())
    sinks = [Notes("a", source.calls), Notes("b", source.calls)]

    events = list(recognizer.listen(source, vad=False, sinks=sinks))

    calls = [what for name, what in source.calls if name == "a"]
    assert calls == [
        "open",
        "start items",
        "audio 16000 16000 0",
        "start",
        "window",
        "emotion",
        "update AudioChunk 1",
        "update Idle 1",
        "clip",
        "end",
        "stop",
        "close",
    ]
    assert [what for name, what in source.calls if name == "b"] == calls
    assert [e.kind for e in events] == ["start", "window", "emotion", "clip", "end"]
    assert source.calls[:3] == [("a", "open"), ("b", "open"), ("source", "open")]
    assert source.calls[-5:] == [
        ("a", "stop"),
        ("b", "stop"),
        ("source", "close"),
        ("b", "close"),
        ("a", "close"),
    ]


def test_a_loop_that_is_left_stops_its_sinks(recognizer):
    source = Items(SECOND, SECOND)
    events = recognizer.listen(source, vad=False, sinks=[Notes("a", source.calls)])

    assert next(events).kind == "start"
    events.close()

    assert source.calls[-3:] == [("a", "stop"), ("source", "close"), ("a", "close")]


def test_a_limit_ends_the_source_as_asked(recognizer):
    source = Items(*[SECOND] * 9)

    events = list(listen(source, lambda s: recognizer.open_stream(s.name), limit_s=2.0))

    assert (events[-1].kind, events[-1].reason) == ("end", "asked")
    assert events[-1].at_s == 2.0


@pytest.mark.parametrize("way", ["loop", "thread", "asyncio"])
def test_all_ways_of_listening_give_sinks_the_same(recognizer, way):
    source = Items(SECOND, SECOND)
    sinks, seen = [Notes("a", source.calls)], []
    if way == "loop":
        seen = list(recognizer.listen(source, vad=False, sinks=sinks))
    elif way == "thread":
        with recognizer.listen_in_background(seen.append, source, vad=False, sinks=sinks) as it:
            it.wait(20)
    else:

        async def collect():
            async for event in recognizer.listen_async(source, vad=False, sinks=sinks):
                seen.append(event)

        asyncio.run(collect())

    kinds = [event.kind for event in seen]
    assert kinds[-2:] == ["clip", "end"]
    assert [what for _, what in source.calls if what in set(kinds)] == kinds
