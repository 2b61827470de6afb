"""Whatever ffmpeg opens as a source: cameras and streams by URL, sound devices, films."""

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
"""A stream that delivers nothing for so long is gone; to open one may take as long."""

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+:")


class FfmpegSource:
    """Anything that the program `ffmpeg` opens, as a `Source`.

    What says how long it is (a file, a recording on a server) is read as fast as it is recognised, to
    its end. Anything else is live: it is read as it comes, and opened again when it ends.

    Args:
        url: a URL (`rtsp://`, `http://`, `udp://`, ...), a path, or what the device is called.
        input_format: ffmpeg's `-f` for the input, which a device needs: `alsa`, `pulse`, `v4l2`, ...
        input_options: further options of ffmpeg for the input, e.g. `("-rtsp_transport", "tcp")`.
        sample_rate: Hz to resample to; None for the stream's own.
        channel: the channel to take, None for the mean of all.
        live: whether it is; None to judge by whether it says how long it is.
        reopen: False to end with an `AudioError` when a live one goes away.
        wait_for_device: begin although it cannot be opened yet, as `Disconnected`; it must be live.
        stall_s: without audio for so long it is gone.
        backlog_s: seconds of a live one that may wait for recognition.

    Raises:
        ConfigError: a URL that is empty or begins with "-", which is an option to ffmpeg.
        AudioError: an impossible rate.
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
                f"{url!r} came, a URL, a path or a device was wanted; write a path as ./{url or 'x'}"
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
        self._kept = ReconnectingInput(
            self._open,
            device=lambda: self.name,
            stall_s=stall_s,
            reopen=reopen,
            backlog_s=backlog_s,
        )

    @property
    def live(self) -> bool:
        """Whether it comes in real time; known once it is open."""
        return bool(self._live)

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, which a live one does not; known once it is open."""
        return not self._live

    @property
    def overruns(self) -> int:
        """How often a live one lost audio on its way, as ffmpeg says, or samples were no numbers."""
        return self._kept.inbox.overruns

    @property
    def dropped_s(self) -> float:
        """Seconds of a live one that were dropped because recognition lagged behind."""
        return self._kept.inbox.dropped_s

    @property
    def remark(self) -> str | None:
        """What a user should know after the end; None if all is well."""
        return self._remark

    def __enter__(self) -> FfmpegSource:
        """Open it.

        Raises:
            AudioError: it does not exist, holds no audio, or does not answer.
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
            self._kept.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """End ffmpeg."""
        self._kept.close()
        if self._process is not None:
            self._process.close()

    def __iter__(self) -> Iterator[SourceItem]:
        """Yield mono chunks; of a live one also what happens to it. See `remark` at the end.

        Raises:
            AudioError: it cannot be read on, has samples that are not finite, or went away although it
                is live and `reopen` is False.
        """
        return self._kept.signals() if self._live else self._whole()

    def _whole(self) -> Iterator[SourceItem]:
        process = self._process
        if process is None:
            raise AudioError(f"{self.name} is not open; use it as a context manager")
        for chunk in process.chunks(self._channel, self._stall_s):
            check_finite(chunk.samples, self.name)
            yield chunk
        if process.heard_s == 0:
            raise AudioError(f"{self.name} holds no samples; record it again")
        if process.duration_s is not None and process.heard_s < process.duration_s - 1.0:
            self._remark = (
                f"{self.name} says it lasts {process.duration_s:.1f} s, {process.heard_s:.1f} s came; "
                "fetch or record it again"
            )

    def _start(self) -> FfmpegProcess:
        return FfmpegProcess(self._arguments, self.name, self._sample_rate)

    def _open(self, deliver: Deliver, ended: Callable[[str], None]) -> _Reading:
        """Take the process that `__enter__` started, and later a new one."""
        process, self._process = self._process or self._start(), None
        return _Reading(process, self._channel, deliver, ended)


class _Reading:
    """A thread that hands on what a live ffmpeg sends."""

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
        """End ffmpeg, and with it the thread."""
        self._process.stop()
        self._thread.join()
        self._process.close()

    def _run(self, channel: int | None, deliver: Deliver, ended: Callable[[str], None]) -> None:
        n_told = 0
        try:
            for chunk in self._process.chunks(channel):
                n_losses = self._process.n_losses
                deliver(chunk, overrun=n_losses > n_told)
                n_told = n_losses
        except AudioError as error:
            ended(str(error))
        else:
            ended("the stream ended")


def _input_arguments(
    url: str, input_format: str | None, input_options: Sequence[str]
) -> tuple[str, ...]:
    """Return what comes before the output in ffmpeg's command line."""
    if input_format is not None:
        return (*input_options, "-f", input_format, "-i", url)
    path = Path(url)
    # A path may look like another of ffmpeg's protocols ("concat:a|b", "12:30.wav").
    is_path = path.is_file() or path.is_fifo()
    return (*input_options, "-i", f"file:{url}" if is_path else url)
