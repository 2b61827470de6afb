"""Listening from a program: iterator, callback, asyncio; ends, errors and slow consumers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from streams import RATE, SensitiveRunner, noise

from edge_ser.audio.io import AudioChunk
from edge_ser.audio.sources import FfmpegSource, FileSource, MicrophoneSource, open_source
from edge_ser.audio.sources.base import Idle, SourceItem
from edge_ser.errors import AudioError
from edge_ser.recognition.recognizer import Recognizer


class Scripted:
    """A source that yields what it is given, and knows whether it is open."""

    name = "scripted"

    def __init__(self, signals: list[SourceItem], live: bool = True, endless: bool = False) -> None:
        self.signals, self.live, self.endless = signals, live, endless
        self.opened = self.closed = 0
        self.taken = 0

    def __enter__(self) -> Scripted:
        self.opened += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[SourceItem]:
        for signal in self.signals:
            self.taken += 1
            yield signal
        while self.endless:
            time.sleep(0.01)
            yield Idle()


class Fails(Scripted):
    """Breaks after its signals."""

    def __iter__(self) -> Iterator[SourceItem]:
        yield from super().__iter__()
        raise AudioError("cable")


SECONDS = [AudioChunk(noise(RATE), RATE)] * 3


@pytest.fixture
def recognizer() -> Recognizer:
    return Recognizer(SensitiveRunner())


def kinds(events) -> list[str]:
    return [e.kind for e in events if e.kind not in {"window", "emotion"}]


# --- iterator --------------------------------------------------------------------------------


def test_a_live_source_is_cut_into_utterances_by_default(recognizer):
    source = Scripted(SECONDS)
    events = list(recognizer.listen(source))
    assert events[0].vad.startswith("silero")
    assert kinds(events) == ["start", "end"]
    assert (source.opened, source.closed) == (1, 1)


def test_a_file_gets_a_verdict_on_its_speech_by_default(example_clips):
    recognizer = Recognizer()
    events = list(recognizer.listen(example_clips[0]))
    assert kinds(events) == ["start", "speech_start", "speech_end", "clip", "end"]
    assert events[0].vad.startswith("silero")
    assert events[-2].likeliest == recognizer.recognize(example_clips[0]).final.label
    assert events[0].abstain_below == recognizer.card.abstain_below


def test_a_file_without_a_detector_counts_from_end_to_end(example_clips):
    recognizer = Recognizer()
    events = list(recognizer.listen(example_clips[0], vad=False))
    assert kinds(events) == ["start", "clip", "end"]
    assert events[0].vad == "none"
    final = recognizer.recognize(example_clips[0], vad=False).final
    assert dict(events[-2].probs) == pytest.approx(dict(final.probs))


def test_leaving_the_loop_closes_the_source(recognizer):
    source = Scripted(SECONDS, endless=True)
    for event in recognizer.listen(source, vad=False):
        if event.kind == "window":
            break
    del event
    assert (source.opened, source.closed) == (1, 1)


def test_what_breaks_comes_out(recognizer):
    source = Fails(SECONDS)
    with pytest.raises(AudioError, match="cable"):
        list(recognizer.listen(source))
    assert source.closed == 1


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (None, MicrophoneSource),
        ("rtsp://camera/stream", FfmpegSource),
        ("speech.wav", FileSource),
        ("C:/speech.wav", FileSource),
    ],
)
def test_what_a_source_is_made_of(what, kind):
    assert isinstance(open_source(what), kind)


def test_a_source_is_taken_as_it_is():
    source = Scripted([])
    assert open_source(source) is source


# --- callback --------------------------------------------------------------------------------


def test_a_callback_gets_everything(recognizer):
    expected = [e.kind for e in recognizer.listen(Scripted(SECONDS, live=False))]
    received = []
    with recognizer.listen_in_background(
        received.append, Scripted(SECONDS, live=False)
    ) as listener:
        assert listener.wait(30)
    assert [e.kind for e in received] == expected
    assert kinds(received) == ["start", "clip", "end"]


def test_a_thread_is_stopped_within_a_second(recognizer):
    source, received = Scripted(SECONDS, endless=True), []
    listener = recognizer.listen_in_background(received.append, source, vad=False)
    assert not listener.wait(0.2)
    listener.stop()
    assert listener.wait(10)
    assert received[-1].kind == "end"
    assert received[-1].reason == "asked"
    assert source.closed == 1


def test_the_thread_owns_the_runner():
    class Owned(SensitiveRunner):
        owner = None

        def take_over(self) -> None:
            self.owner = threading.current_thread().name

    runner = Owned()
    with Recognizer(runner).listen_in_background(print, Scripted([]), vad=False) as listener:
        listener.wait(10)
    assert runner.owner == "edge-ser"


def test_an_error_in_the_thread_is_raised_where_it_is_waited_for(recognizer):
    listener = recognizer.listen_in_background(lambda _: None, Fails(SECONDS))
    with pytest.raises(AudioError, match="cable"):
        listener.wait(30)
    assert listener.wait(1)


def test_an_error_of_the_callback_ends_the_listening(recognizer):
    def fail(_):
        raise RuntimeError("robot")

    source = Scripted(SECONDS, endless=True)
    listener = recognizer.listen_in_background(fail, source)
    with pytest.raises(RuntimeError, match="robot"):
        listener.wait(30)
    assert source.closed == 1


def test_leaving_the_block_by_an_error_shows_that_error(recognizer):
    source = Fails(SECONDS)
    with pytest.raises(KeyError), recognizer.listen_in_background(lambda _: None, source):
        raise KeyError("mine")


# --- asyncio ---------------------------------------------------------------------------------


def test_asyncio_gets_everything_in_order(recognizer):
    async def collect():
        return [e async for e in recognizer.listen_async(Scripted(SECONDS, live=False))]

    events = asyncio.run(collect())
    assert [e.seq for e in events] == list(range(len(events)))
    assert kinds(events) == ["start", "clip", "end"]


def test_an_error_reaches_the_coroutine(recognizer):
    async def collect():
        async for _ in recognizer.listen_async(Fails(SECONDS)):
            pass

    with pytest.raises(AudioError, match="cable"):
        asyncio.run(collect())


def test_a_cancelled_task_stops_the_thread(recognizer):
    source = Scripted(SECONDS, endless=True)

    async def collect():
        async for _ in recognizer.listen_async(source, vad=False):
            pass

    async def main():
        task = asyncio.create_task(collect())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for _ in range(100):
        if source.closed:
            break
        time.sleep(0.1)
    assert source.closed == 1


def test_a_slow_consumer_makes_the_source_wait(recognizer, monkeypatch):
    """Memory is bounded: events that do not fit block the source, which counts its losses."""
    monkeypatch.setattr("edge_ser.recognition.listen._WAITING_EVENTS", 4)
    second = AudioChunk(np.tile(noise(RATE), 10), RATE)
    source = Scripted([second] * 20, live=False)

    async def collect():
        taken_while_slow = 0
        n = 0
        async for _ in recognizer.listen_async(source, vad=False):
            n += 1
            if n == 2:
                await asyncio.sleep(0.5)
                taken_while_slow = source.taken
        return taken_while_slow, n

    taken_while_slow, n = asyncio.run(collect())
    assert taken_while_slow <= 2
    assert source.taken == 20
    assert n > 700
