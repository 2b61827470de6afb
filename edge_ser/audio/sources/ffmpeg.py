"""Sources that ffmpeg opens: cameras and streams by URL, sound devices, video files."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_ser.audio.io import check_finite, check_rate
from edge_ser.audio.sources.base import SourceItem
from edge_ser.audio.sources.ffmpeg_process import FfmpegProcess, without_secrets
from edge_ser.audio.sources.queue import BACKLOG_S
from edge_ser.audio.sources.reconnect import Deliver, ReconnectingInput
from edge_ser.errors import AudioError, ConfigError

STALL_S = 15.0
"""Seconds without audio after which a stream counts as disconnected; also the time to open one."""

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+:")


class FfmpegSource:
    """Input of the program `ffmpeg` as a `Source`.

    An input with a known duration (a file, a recording on a server) is read to its end, as fast as it
    is recognised. Any other input is live: it is read as it arrives, and reopened when it ends.

    Args:
        url: a URL (`rtsp://`, `http://`, `udp://`, ...), a path, or the name of a device.
        input_format: ffmpeg's `-f` for the input, required for a device: `alsa`, `pulse`, `v4l2`, ...
        input_options: further options of ffmpeg for the input, e.g. `("-rtsp_transport", "tcp")`.
        sample_rate: Hz to resample to; None for the stream's own.
        channel: index of the channel; None for the mean of all.
        live: whether it is live; None: live if its duration is unknown.
        reopen: False to end with an `AudioError` when a live input is disconnected.
        wait_for_device: start with `Disconnected` if it cannot be opened yet; implies `live`.
        stall_s: seconds without audio after which it counts as disconnected.
        backlog_s: seconds of live audio that may wait for recognition.

    Raises:
        ConfigError: a URL that is empty or begins with "-", which is an option to ffmpeg.
        AudioError: unsupported sample rate.
    """

    def __init__(
        self,
        url: str,
        input_format: str | None = None,
        input_options: Sequence[str] = (),
        *,
        sample_rate: int | None = None,
        channel: int | None = None,
        live: bool | None = None,
        reopen: bool = True,
        wait_for_device: bool = False,
        stall_s: float = STALL_S,
        backlog_s: float = BACKLOG_S,
    ) -> None:
        if not url or url.startswith("-"):
            raise ConfigError(
                f"expected a URL, a path or a device, got {url!r}; write a path as ./{url or 'x'}"
            )
        if sample_rate is not None:
            check_rate(sample_rate)
        self.name = without_secrets(url)
        self._url = url
        self._arguments = _input_arguments(url, input_format, input_options)
        self._is_device = input_format is not None
        self._sample_rate = sample_rate
        self._channel = channel
        self._live = True if wait_for_device else live
        self._wait = wait_for_device
        self._stall_s = stall_s
        self._process: FfmpegProcess | None = None
        self._remark: str | None = None
        self._input = ReconnectingInput(
            self._open,
            device=lambda: self.name,
            stall_s=stall_s,
            reopen=reopen,
            backlog_s=backlog_s,
        )

    @property
    def live(self) -> bool:
        """Whether audio arrives in real time; known once it is open."""
        return bool(self._live)

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, as all but live inputs do; known once it is open."""
        return not self._live

    @property
    def overruns(self) -> int:
        """Number of losses of a live input: reported by ffmpeg, or samples that are not finite."""
        return self._input.queue.overruns

    @property
    def dropped_s(self) -> float:
        """Seconds of live audio dropped because recognition lagged behind."""
        return self._input.queue.dropped_s

    @property
    def remark(self) -> str | None:
        """Warning for the user after the end; None if there is none."""
        return self._remark

    def __enter__(self) -> FfmpegSource:
        """Open the input.

        Raises:
            AudioError: it does not exist, contains no audio, or does not respond.
            MissingDependency: ffmpeg is not installed.
        """
        if not self._is_device and not _SCHEME.match(self._url) and not Path(self._url).exists():
            raise AudioError(
                f"there is no file {self.name}; check the spelling, or write a URL with its rtsp://"
            )
        if not self._wait:
            process = self._process = self._start()
            try:
                process.read_header(self._stall_s)
                process.check_channel(self._channel)
            except BaseException:
                process.close()
                raise
            if self._live is None:
                self._live = process.duration_s is None and not Path(self._url).is_file()
        if self._live:
            self._input.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop ffmpeg."""
        self._input.close()
        if self._process is not None:
            self._process.close()

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield mono chunks, and for a live input its losses and disconnections; then see `remark`.

        Raises:
            AudioError: reading fails, samples are not finite, or a live input was disconnected and
                `reopen` is False.
        """
        return self._input.items() if self._live else self._read_to_end()

    def _read_to_end(self) -> Iterator[SourceItem]:
        process = self._process
        if process is None:
            raise AudioError(f"{self.name} is not open; use it as a context manager")
        for chunk in process.chunks(self._channel, self._stall_s):
            check_finite(chunk.samples, self.name)
            yield chunk
        if process.read_s == 0:
            raise AudioError(f"{self.name} contains no samples; record it again")
        if process.duration_s is not None and process.read_s < process.duration_s - 1.0:
            self._remark = (
                f"{self.name} declares {process.duration_s:.1f} s, {process.read_s:.1f} s were read; "
                "fetch or record it again"
            )

    def _start(self) -> FfmpegProcess:
        return FfmpegProcess(self._arguments, self.name, self._sample_rate)

    def _open(self, deliver: Deliver, ended: Callable[[str], None]) -> _Reader:
        """Use the process that `__enter__` started, later a new one."""
        process, self._process = self._process or self._start(), None
        return _Reader(process, self._channel, deliver, ended)


class _Reader:
    """Thread that delivers the audio of a live ffmpeg."""

    def __init__(
        self,
        process: FfmpegProcess,
        channel: int | None,
        deliver: Deliver,
        ended: Callable[[str], None],
    ) -> None:
        self._process = process
        self._thread = threading.Thread(
            target=self._run, args=(channel, deliver, ended), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop ffmpeg and the thread."""
        self._process.stop()
        self._thread.join()
        self._process.close()

    def _run(self, channel: int | None, deliver: Deliver, ended: Callable[[str], None]) -> None:
        n_reported = 0
        try:
            for chunk in self._process.chunks(channel):
                n_losses = self._process.n_losses
                deliver(chunk, overrun=n_losses > n_reported)
                n_reported = n_losses
        except AudioError as error:
            ended(str(error))
        else:
            ended("the stream ended")


def _input_arguments(
    url: str, input_format: str | None, input_options: Sequence[str]
) -> tuple[str, ...]:
    """Return the input arguments of ffmpeg's command line."""
    if input_format is not None:
        return (*input_options, "-f", input_format, "-i", url)
    path = Path(url)
    # A path may look like an ffmpeg protocol ("concat:a|b", "12:30.wav").
    is_path = path.is_file() or path.is_fifo()
    return (*input_options, "-i", f"file:{url}" if is_path else url)
