"""Process of the program ffmpeg: decodes the first audio stream of one input.

The output format is AU, because its header carries rate and channels: the input is opened once and
read at its own rate. ffprobe would open it a second time, which many cameras and sound cards refuse.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import struct
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from edge_ser.audio.io import AudioChunk, check_rate, to_mono
from edge_ser.audio.sources.pcm import MAX_CHANNELS, Frames
from edge_ser.errors import AudioError, MissingDependency

_HEADER = struct.Struct(">4s5I")
"""AU header: magic, data offset, data size, encoding, sample rate, channels."""

_FLOAT32 = 6
_BLOCK_S = 0.05
_KILL_AFTER_S = 2.0
_LINES = 40
_DESCRIBED_S = 1.0
_LEVEL = re.compile(r"^((?:\[[^]]*\] )*)\[(?:error|fatal|panic)\] (.*)$")
_DURATION = re.compile(r"^\[info\]\s+Duration: (?:N/A|(\d+):(\d+):(\d+\.\d+))")
_LOSS = re.compile(r"ALSA buffer xrun|Circular buffer overrun|RTP: missed \d+ packets")
_SECRET = re.compile(r"//[^/?#\s]*@")


def without_secrets(text: str) -> str:
    """Return text without the user and password of any URL in it."""
    return _SECRET.sub("//", text)


class FfmpegProcess:
    """Running ffmpeg. The caller must close it, which ends and reaps the process.

    Args:
        arguments: options of the input, then `-i` and the input.
        name: name of the input in errors.
        sample_rate: Hz to resample to, None for the input's own.

    Raises:
        AudioError: the system cannot start it.
        MissingDependency: ffmpeg is not installed.
    """

    def __init__(self, arguments: Sequence[str], name: str, sample_rate: int | None = None) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise MissingDependency("the program ffmpeg", "run: sudo apt install ffmpeg")
        self.name = name
        self.duration_s: float | None = None
        """Duration that the input declares, in seconds; None if unknown, and before `read_header`."""
        self.read_s = 0.0
        """Seconds of audio read."""
        self.n_losses = 0
        """Number of losses that ffmpeg reported."""
        self._frames: Frames | None = None
        self._sample_rate = 0
        self._described = threading.Event()
        self._lines: deque[str] = deque(maxlen=_LINES)
        rate = () if sample_rate is None else ("-ar", str(sample_rate))
        command = [
            *(program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"),
            *arguments,
            *("-map", "0:a:0", *rate, "-c:a", "pcm_f32be", "-f", "au"),
            *("-flush_packets", "1", "pipe:1"),
        ]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Keep Ctrl-C from ffmpeg: `close` ends it, and the input does not seem to have failed.
                start_new_session=True,
            )
        except OSError as error:
            raise AudioError(f"ffmpeg cannot be started: {error.strerror or error}") from None
        assert self._process.stdout is not None  # noqa: S101 (for mypy)
        self._output = self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._message_reader = threading.Thread(target=self._keep_lines, daemon=True)
        self._message_reader.start()

    def read_header(self, timeout_s: float | None = None) -> None:
        """Wait until the input is open.

        Raises:
            AudioError: it cannot be opened, contains no audio, or takes longer than `timeout_s`.
        """
        head = b""
        size = _HEADER.size
        while len(head) < size:
            data = self._read(size - len(head), timeout_s)
            if not data:
                self._process.wait()
                raise AudioError(f"{self.name} cannot be opened: {self.error_text()}")
            head += data
            if len(head) == _HEADER.size:
                size = _HEADER.unpack(head)[1]
        magic, _, _, encoding, self._sample_rate, n_channels = _HEADER.unpack(head[: _HEADER.size])
        if magic != b".snd" or encoding != _FLOAT32 or not 1 <= n_channels <= MAX_CHANNELS:
            raise AudioError(
                f"expected an AU header from ffmpeg, got {head[:24]!r}; try another version of it"
            )
        check_rate(self._sample_rate)
        self._frames = Frames(">f4", 1.0, n_channels)
        # ffmpeg prints the duration before it writes the header, but to another pipe.
        self._described.wait(_DESCRIBED_S)

    def check_channel(self, channel: int | None) -> None:
        """Reject a channel that the input lacks, once the header is read.

        Raises:
            AudioError: the channel does not exist.
        """
        if self._frames is not None:
            to_mono(self._frames.push(b""), channel, self.name)

    def chunks(self, channel: int | None, timeout_s: float | None = None) -> Iterator[AudioChunk]:
        """Yield mono chunks until the input ends.

        Args:
            channel: index of the channel; None for the mean of all.
            timeout_s: longest wait for data, in seconds; None for no limit.

        Raises:
            AudioError: ffmpeg failed, or no data arrived in time.
        """
        if self._frames is None:
            self.read_header(timeout_s)
        assert self._frames is not None  # noqa: S101 (for mypy)
        block_bytes = int(_BLOCK_S * self._sample_rate) * self._frames.n_bytes
        while data := self._read(block_bytes, timeout_s):
            frames = self._frames.push(data)
            if len(frames):
                self.read_s += len(frames) / self._sample_rate
                yield AudioChunk(to_mono(frames, channel, self.name), self._sample_rate)
        if self._process.wait() != 0:
            raise AudioError(f"{self.name} cannot be read further: {self.error_text()}")

    def error_text(self) -> str:
        """Return the last errors that ffmpeg printed, as one line."""
        self._message_reader.join()
        errors = [match[2] for line in self._lines if (match := _LEVEL.match(line))]
        messages = errors[-3:] or list(self._lines)[-1:] or ["it printed nothing"]
        return f"ffmpeg ended with {self._process.returncode} ({'; '.join(messages)})"

    def stop(self) -> None:
        """End ffmpeg, with SIGKILL if it ignores SIGTERM, and reap it."""
        self._process.terminate()
        try:
            self._process.wait(_KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Stop, and close the pipes; no thread may be reading any more."""
        self.stop()
        self._message_reader.join()
        self._output.close()

    def _read(self, n_bytes: int, timeout_s: float | None) -> bytes:
        if not self._poll.poll(None if timeout_s is None else timeout_s * 1000):
            raise AudioError(
                f"{self.name}: no data for {timeout_s:g} s; check the address and the network"
            )
        return os.read(self._output.fileno(), n_bytes)

    def _keep_lines(self) -> None:
        """Read messages in a thread: ffmpeg blocks if its messages are not read."""
        assert self._process.stderr is not None  # noqa: S101 (for mypy)
        with self._process.stderr as messages:
            for raw in messages:
                line = without_secrets(raw.decode(errors="replace").rstrip())
                self._lines.append(line)
                self.n_losses += bool(_LOSS.search(line))
                if not self._described.is_set() and (match := _DURATION.match(line)):
                    if match[1] is not None:
                        hours, minutes, seconds = map(float, match.groups())
                        self.duration_s = 3600 * hours + 60 * minutes + seconds
                    self._described.set()
