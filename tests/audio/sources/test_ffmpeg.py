"""FfmpegSource with the real program: files, videos, HTTP streams that end and return."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import skip_or_fail

from edge_ser.audio.io import AudioChunk, load
from edge_ser.audio.sources import FfmpegSource
from edge_ser.audio.sources.base import AudioLost, Disconnected, Idle, Reconnected
from edge_ser.audio.sources.ffmpeg_process import without_secrets
from edge_ser.errors import AudioError, ConfigError, MissingDependency

TONE = "sine=frequency=440:sample_rate=44100"


@pytest.fixture(autouse=True)
def ffmpeg_is_there() -> None:
    if shutil.which("ffmpeg") is None:
        skip_or_fail("ffmpeg is not installed: apt install ffmpeg")


def make(*arguments: object) -> None:
    """Run ffmpeg to make a file for a test."""
    command = ["ffmpeg", "-nostdin", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def samples_of(items) -> np.ndarray:
    return np.concatenate([item.samples for item in items if isinstance(item, AudioChunk)])


def ffmpegs() -> set[str]:
    """Return the processes that this one started and that are called ffmpeg, zombies too."""
    children = Path("/proc/self/task").glob("*/children")
    pids = {pid for path in children for pid in path.read_text().split()}
    return {pid for pid in pids if "ffmpeg" in Path(f"/proc/{pid}/comm").read_text()}


class Radio:
    """A server of an endless MP3 stream, in real time; it can be ended and started again."""

    def __init__(self, mp3: bytes, bytes_per_s: int) -> None:
        radio = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "audio/mpeg")
                self.end_headers()
                place, part = 0, 2 * bytes_per_s  # as radios do, so that players begin soon
                while radio.on_air.is_set():
                    try:
                        self.wfile.write(b"" if radio.holds.is_set() else mp3[place : place + part])
                    except OSError:
                        return
                    place = (place + part) % len(mp3)
                    part = bytes_per_s // 10
                    time.sleep(0.1)

            def log_message(self, *arguments: object) -> None:
                pass

        self.on_air = threading.Event()
        self.holds = threading.Event()
        self._handler = Handler
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://user:secret@127.0.0.1:{self._port}/live"

    def start(self) -> None:
        self.on_air.set()
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._server.daemon_threads = False
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def die(self) -> None:
        self.on_air.clear()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def radio(tmp_path) -> Iterator[Radio]:
    make("-f", "lavfi", "-i", TONE, "-t", 20, "-b:a", "64k", tmp_path / "tone.mp3")
    radio = Radio((tmp_path / "tone.mp3").read_bytes(), 8_000)
    yield radio
    if radio.on_air.is_set():
        radio.die()


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """Put a script into the place of ffmpeg."""

    def put(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport signal, sys, time\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return put


def test_a_file_is_what_libsndfile_reads(example_clips):
    with FfmpegSource(str(example_clips[0])) as source:
        chunks = list(source)

    assert (source.name, source.live, source.remark) == (str(example_clips[0]), False, None)
    assert {(chunk.sample_rate, chunk.captured_s) for chunk in chunks} == {(16_000, None)}
    np.testing.assert_array_equal(samples_of(chunks), load(example_clips[0], 16_000))
    assert ffmpegs() == set()


def test_the_sound_of_a_film_at_its_own_rate(tmp_path):
    film = tmp_path / "film.mkv"
    make(
        *("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5", "-f", "lavfi", "-i", TONE),
        *("-t", 3, "-c:v", "mpeg4", "-c:a", "flac", film),
    )
    with FfmpegSource(str(film)) as source:
        chunks = list(source)

    assert {chunk.sample_rate for chunk in chunks} == {44_100}
    samples = samples_of(chunks)
    assert len(samples) == 3 * 44_100
    spectrum = np.abs(np.fft.rfft(samples[:44_100]))
    assert int(spectrum.argmax()) == 440


@pytest.mark.parametrize(("channel", "level"), [(None, 0.375), (0, 0.5), (1, 0.25)])
def test_channels_and_a_rate_of_ones_own(tmp_path, channel, level):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.tile([0.5, 0.25], (48_000, 1)), 48_000, subtype="FLOAT")
    with FfmpegSource(str(path), sample_rate=16_000, channel=channel) as source:
        chunks = list(source)

    assert {chunk.sample_rate for chunk in chunks} == {16_000}
    samples = samples_of(chunks)
    assert len(samples) == 16_000
    assert np.median(samples) == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize("name", ["a:b|c.wav", "concat:x.wav", "ünder score.wav", "%03d.wav"])
def test_names_that_ffmpeg_could_take_for_something_else(
    tmp_path, monkeypatch, example_clips, name
):
    monkeypatch.chdir(tmp_path)
    Path(name).symlink_to(example_clips[0])
    with FfmpegSource(name) as source:
        assert len(samples_of(source)) == len(load(example_clips[0], 16_000))


@pytest.mark.parametrize("url", ["-version", "-i", "-", ""])
def test_a_url_is_never_an_option(url):
    with pytest.raises(ConfigError, match=rf"\bURL\b.* got '{url}'"):
        FfmpegSource(url)


def test_a_format_and_options_of_the_input(tmp_path):
    (tmp_path / "raw").write_bytes(np.full(8_000, 2**14, "<i2").tobytes())
    options = ("-ar", "8000", "-ac", "2")
    with FfmpegSource(str(tmp_path / "raw"), "s16le", options) as source:
        samples = samples_of(source)

    assert not source.live
    np.testing.assert_array_equal(samples, np.full(4_000, 0.5, np.float32))


def test_samples_that_are_no_numbers(tmp_path):
    samples = np.zeros(16_000, np.float32)
    samples[5_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    with (
        pytest.raises(AudioError, match=r"nan.wav: .*\b1 sample.*\bNaN\b"),
        FfmpegSource(str(tmp_path / "nan.wav")) as source,
    ):
        list(source)
    assert ffmpegs() == set()


@pytest.mark.parametrize(
    ("make_it", "error"),
    [
        (lambda _: None, r"\bx\.wav\b.*\brtsp://"),
        (
            lambda path: path.write_text("no audio" * 100),
            r"x\.wav .*\bffmpeg ended with \d+",
        ),
        (
            lambda path: make(
                *("-f", "lavfi", "-i", "testsrc=size=64x64", "-t", 1, "-f", "matroska", path)
            ),
            r"\bno streams\b",
        ),
    ],
)
def test_an_input_that_cannot_be_opened_is_an_error_at_once(tmp_path, make_it, error):
    make_it(tmp_path / "x.wav")
    with pytest.raises(AudioError, match=error), FfmpegSource(str(tmp_path / "x.wav")):
        pass
    assert ffmpegs() == set()


def test_a_channel_that_is_not_there(example_clips):
    with (
        pytest.raises(AudioError, match=r"\.wav has 1 channel.*\bchannel 3\b"),
        FfmpegSource(str(example_clips[0]), channel=3),
    ):
        pass
    assert ffmpegs() == set()


def test_a_server_that_refuses_is_an_error_without_the_password():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}/x"
        with pytest.raises(AudioError, match="Connection refused") as raised, FfmpegSource(url):
            pass
    assert "secret" not in str(raised.value)
    assert "//127.0.0.1" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("rtsp://me:pa@ss@cam/1?a=@", "rtsp://cam/1?a=@"),
        ("[error] http://u@h/x: and http://v:w@h: no", "[error] http://h/x: and http://h: no"),
        ("hw:0", "hw:0"),
    ],
)
def test_secrets_are_left_out(text, left):
    assert without_secrets(text) == left


def test_without_ffmpeg_its_package_is_named(monkeypatch, tmp_path, example_clips):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"\bprogram ffmpeg\b.* install ffmpeg$"):
        FfmpegSource(str(example_clips[0])).__enter__()


def test_a_recording_on_a_server_is_read_to_its_end(tmp_path, example_clips):
    """It says how long it is, so it is not live: read at once, and nothing is dropped."""
    make("-f", "lavfi", "-i", TONE, "-t", 60, tmp_path / "long.flac")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Handler(*args, directory=str(tmp_path))
    )
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    url = f"http://127.0.0.1:{server.server_port}/long.flac"
    try:
        with FfmpegSource(url, backlog_s=1.0) as source:
            assert not source.live
            samples = samples_of(source)
    finally:
        server.shutdown()
        server.server_close()
    assert len(samples) == 60 * 44_100


def test_a_live_stream_that_dies_and_returns(radio):
    with FfmpegSource(radio.url) as source:
        assert source.live
        assert "secret" not in source.name
        items = iter(source)
        chunk = next(items)
        assert chunk.sample_rate == 44_100
        assert chunk.captured_s == pytest.approx(time.monotonic(), abs=2)
        radio.die()
        gone = next(s for s in items if not isinstance(s, (AudioChunk, Idle)))
        away = [next(items), next(items)]
        radio.start()
        back = next(s for s in items if s != Idle())
        received = samples_of(next(items) for _ in range(20))
        assert len(ffmpegs()) == 1

    assert isinstance(gone, Disconnected)
    assert away == [Idle(), Idle()]
    assert isinstance(back, Reconnected)
    assert back.away_s > 1.5
    assert np.abs(received).max() > 0.05
    assert ffmpegs() == set(), "it is ended and reaped"


def test_a_live_stream_without_reopening(radio):
    with FfmpegSource(radio.url, reopen=False) as source:
        items = iter(source)
        assert isinstance(next(items), AudioChunk)
        radio.die()
        with pytest.raises(AudioError, match=r"^http://127.*\bended\b"):
            list(items)
    assert ffmpegs() == set()


def test_a_live_stream_that_stalls(radio):
    """The server keeps the connection and sends no more."""
    with FfmpegSource(radio.url, stall_s=1.5) as source:
        items = iter(source)
        assert isinstance(next(items), AudioChunk)
        radio.holds.set()
        gone = next(s for s in items if not isinstance(s, (AudioChunk, Idle)))
    assert isinstance(gone, Disconnected)
    assert gone.device == source.name
    assert "1.5 s" in gone.reason


def test_a_service_may_wait_for_a_stream(radio):
    radio.die()
    with FfmpegSource(radio.url, wait_for_device=True) as source:
        items = iter(source)
        gone = next(s for s in items if s != Idle())
        radio.start()
        back = next(s for s in items if s != Idle())
        assert isinstance(next(items), AudioChunk)
    assert isinstance(gone, Disconnected)
    assert "Connection refused" in gone.reason
    assert isinstance(back, Reconnected)


def test_a_named_pipe_and_its_next_writer(tmp_path, example_clips):
    """A FIFO has no length, so it is live: when its writer ends, it waits for another."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    expected = load(example_clips[0], 16_000)

    def write() -> threading.Thread:
        content = example_clips[0].read_bytes()
        # A WAV that is written to a pipe does not know how long it becomes.
        content = content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:]
        writer = threading.Thread(target=fifo.write_bytes, args=(content,))
        writer.start()
        return writer

    writers = [write()]
    with FfmpegSource(str(fifo)) as source:
        assert source.live
        items, received = iter(source), []
        for item in items:
            if isinstance(item, Disconnected):
                break
            received.append(item)
        writers.append(write())
        back = next(s for s in items if s != Idle())
        assert isinstance(next(items), AudioChunk)
    for writer in writers:
        writer.join()

    np.testing.assert_array_equal(samples_of(received), expected)
    assert isinstance(back, Reconnected)


def test_a_live_input_made_by_ffmpeg_itself(tmp_path):
    """`-f lavfi` stands for a sound device: -re makes it as slow as one."""
    with FfmpegSource(TONE, "lavfi", ("-re",)) as source:
        assert source.live
        items = iter(source)
        received = samples_of(next(items) for _ in range(20))
    assert int(np.abs(np.fft.rfft(received, 44_100)).argmax()) == pytest.approx(440, abs=1)


HEADER = "sys.stdout.buffer.write(b'.snd' + b''.join(n.to_bytes(4, 'big') for n in {}))\n"


def test_an_ffmpeg_that_ignores_sigterm_is_killed(fake_ffmpeg):
    fake_ffmpeg(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + HEADER.format((24, 2**32 - 1, 6, 16_000, 1))
        + "sys.stdout.flush()\ntime.sleep(600)"
    )
    with FfmpegSource("rtsp://camera/1") as source:
        assert source.live
        pids = ffmpegs()
        assert next(iter(source)) == Idle()
    assert len(pids) == 1
    assert ffmpegs() == set()


def test_an_ffmpeg_that_fails_midway_is_an_error_with_its_message(fake_ffmpeg, example_clips):
    fake_ffmpeg(
        HEADER.format((24, 2**32 - 1, 6, 16_000, 1))
        + "sys.stdout.buffer.write(bytes(4000)); sys.stdout.flush()\n"
        "print('[info] Input #0', '[mp3 @ 0x1] [error] Header missing', sep='\\n', file=sys.stderr)\n"
        "sys.exit(69)"
    )
    with FfmpegSource(str(example_clips[0])) as source:
        items = iter(source)
        assert isinstance(next(items), AudioChunk)
        with pytest.raises(AudioError, match=r"\b69 \(Header missing\)"):
            list(items)


@pytest.mark.parametrize("head", [(24, 0, 3, 16_000, 1), (24, 0, 6, 16_000, 0)])
def test_an_invalid_header_is_an_error(fake_ffmpeg, example_clips, head):
    fake_ffmpeg(HEADER.format(head))
    with (
        pytest.raises(AudioError, match=r"\bAU header\b.*\.snd"),
        FfmpegSource(str(example_clips[0])),
    ):
        pass


def test_an_input_that_never_answers_is_an_error(fake_ffmpeg):
    fake_ffmpeg("time.sleep(600)")
    with (
        pytest.raises(AudioError, match=r"^rtsp://camera/1: .*\b0\.5 s\b"),
        FfmpegSource("rtsp://camera/1", stall_s=0.5),
    ):
        pass
    assert ffmpegs() == set()


def test_how_long_it_is_may_be_read_after_the_header(fake_ffmpeg):
    """They come on two pipes, and which of them is read first is chance."""
    fake_ffmpeg(
        HEADER.format((24, 2**32 - 1, 6, 16_000, 1))
        + "sys.stdout.buffer.write(bytes(64000)); sys.stdout.flush()\n"
        "time.sleep(0.3)\n"
        "print('[info]   Duration: 00:00:01.00, bitrate: 1', file=sys.stderr, flush=True)\n"
    )
    with FfmpegSource("http://server/a.flac") as source:
        assert not source.live
        assert len(samples_of(source)) == 16_000
    assert source.remark is None


def test_a_recording_that_is_shorter_than_it_says(fake_ffmpeg, example_clips):
    fake_ffmpeg(
        "print('[info]   Duration: 00:01:00.50, bitrate: 1', file=sys.stderr, flush=True)\n"
        + HEADER.format((24, 2**32 - 1, 6, 16_000, 1))
        + "sys.stdout.buffer.write(bytes(64000)); sys.stdout.flush()"
    )
    with FfmpegSource("http://server/a.flac") as source:
        assert not source.live
        assert len(samples_of(source)) == 16_000
    assert source.remark.startswith("http://server/a.flac ")
    assert re.findall(r"\b([\d.]+) s\b", source.remark)[:2] == ["60.5", "1.0"]


@pytest.mark.parametrize(
    "line",
    [
        "[alsa @ 0x1] [warning] ALSA buffer xrun.",
        "[udp @ 0x1] [error] Circular buffer overrun. To avoid, increase fifo_size URL option.",
        "[rtsp @ 0x1] [warning] RTP: missed 3 packets",
    ],
)
def test_losses_that_ffmpeg_prints_are_reported(fake_ffmpeg, line):
    fake_ffmpeg(
        HEADER.format((24, 2**32 - 1, 6, 16_000, 1))
        + f"print({line!r}, file=sys.stderr, flush=True)\n"
        "time.sleep(0.3)\n"
        "sys.stdout.buffer.write(bytes(6400)); sys.stdout.flush()\n"
        "time.sleep(600)"
    )
    with FfmpegSource("hw:0", "alsa") as source:
        items = iter(source)
        assert next(items) == AudioLost(None, "device")
        assert isinstance(next(items), AudioChunk)
        assert source.overruns == 1


def test_a_source_that_is_not_open(example_clips):
    for live in (True, False):
        with pytest.raises(AudioError, match=rf"{example_clips[0].name} .*\bcontext manager\b"):
            next(iter(FfmpegSource(str(example_clips[0]), live=live)))
