"""Live audio through PortAudio, at the device's own rate and channel count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge_ser.runtime.signals import Signal
from edge_ser.runtime.sources.capture import Capture
from edge_ser.runtime.sources.devices import InputDevice, find_again, find_device, leave_behind
from edge_ser.runtime.sources.inbox import BACKLOG_S
from edge_ser.runtime.sources.keep_open import Deliver, KeptOpen

STALL_S = 3.0
"""A device that delivers nothing for so long is gone."""


class MicrophoneSource:
    """A microphone as a `Source`; one that goes away is opened again.

    Args:
        wanted: its index, or part of its name; None for the default one.
        channel: the channel to take, None for the mean of all.
        reopen: False to end with an `AudioError` when it goes away.
        wait_for_device: begin although it is not there or busy, as `Gone`: for a service that starts
            before the audio server. Otherwise that is an error, as a wrong name must not wait for ever.
        stall_s: without audio for so long it is gone.
        backlog_s: seconds of audio that may wait for recognition.
    """

    def __init__(
        self,
        wanted: str | None = None,
        channel: int | None = None,
        *,
        reopen: bool = True,
        wait_for_device: bool = False,
        stall_s: float = STALL_S,
        backlog_s: float = BACKLOG_S,
    ) -> None:
        self._wanted = wanted
        self._channel = channel
        self._wait = wait_for_device
        self._device: InputDevice | None = None
        self._n_channels = 0
        self._kept = KeptOpen(
            self._open,
            device=lambda: self._device.name if self._device else wanted or "default",
            stall_s=stall_s,
            reopen=reopen,
            backlog_s=backlog_s,
        )

    @property
    def name(self) -> str:
        """`mic:` and the device's name, or what was wanted as long as it was never open."""
        return f"mic:{self._device.name if self._device else self._wanted or 'default'}"

    @property
    def live(self) -> bool:
        """True."""
        return True

    @property
    def ends(self) -> bool:
        """False."""
        return False

    @property
    def device(self) -> InputDevice | None:
        """The device as it was opened last; None if it never was."""
        return self._device

    @property
    def n_channels(self) -> int:
        """Channels that it was opened with last, 0 if it never was."""
        return self._n_channels

    @property
    def overruns(self) -> int:
        """How often the system lost audio before it was fetched."""
        return self._kept.inbox.overruns

    @property
    def dropped_s(self) -> float:
        """Seconds that were dropped because recognition lagged behind."""
        return self._kept.inbox.dropped_s

    def __enter__(self) -> MicrophoneSource:
        """Open the device.

        Raises:
            AudioError: it does not exist, is busy, or refuses its own settings.
            MissingDependency: PortAudio is not installed.
        """
        self._kept.start(self._wait)
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the device; one that is already gone is let go."""
        if not self._kept.close():
            leave_behind()

    def __iter__(self) -> Iterator[Signal]:
        """Yield mono chunks as they come, and what happens to the device.

        Raises:
            AudioError: the device disappeared, and `reopen` is False.
        """
        return self._kept.signals()

    def _open(self, deliver: Deliver, ended: Callable[[str], None]) -> Capture:
        """Open the device that was open before, by name: numbers shift when one is plugged in."""
        self._device = find_again(self._device) if self._device else find_device(self._wanted)
        capture = Capture(self._device, self._channel, deliver, ended)
        self._n_channels = capture.n_channels
        return capture
