"""Progress bars: shown on a terminal only, removed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


def progress_bars(console: Console, shown: bool = True, auto_refresh: bool = True) -> Progress:
    """Return progress bars that are not started yet.

    Args:
        console: a terminal; elsewhere nothing is shown.
        shown: False to show nothing.
        auto_refresh: False to redraw only at `refresh`, so that no redraw disturbs a measurement.
    """
    from rich.progress import Progress

    return Progress(
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
        auto_refresh=auto_refresh,
    )


@contextmanager
def counting_bar(console: Console, description: str, total: int) -> Iterator[Callable[[], None]]:
    """Show one bar; yield the function that advances it by one."""
    with progress_bars(console) as bars:
        task = bars.add_task(description, total=total)
        yield lambda: bars.advance(task)


@contextmanager
def stage_bars(console: Console) -> Iterator[Callable[[str, float], None]]:
    """Show a bar for each stage; yield the function that takes a stage and its progress in [0, 1]."""
    with progress_bars(console) as bars:
        stages: dict[str, TaskID] = {}

        def on_progress(stage: str, share: float) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=1.0)
            bars.update(stages[stage], completed=share)

        yield on_progress


class BuildProgress:
    """Progress bars of the nested phases of a TensorRT build.

    A `tensorrt.typing.Progress`; a pulse is shown until the first phase starts.
    """

    def __init__(self, console: Console) -> None:
        self._bars = progress_bars(console)
        self._tasks: dict[str, TaskID] = {}
        self._depths: dict[str, int] = {}

    def __enter__(self) -> BuildProgress:
        """Show the bars."""
        self._waiting = self._bars.add_task("building", total=None)
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bars."""
        self._bars.stop()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Add a bar."""
        self._bars.update(self._waiting, visible=False)
        self._depths[phase] = self._depths.get(parent, -1) + 1 if parent else 0
        indent = "  " * self._depths[phase]
        self._tasks[phase] = self._bars.add_task(indent + phase, total=steps)

    def step(self, phase: str, done: int) -> None:
        """Move a bar; unknown or finished phases are ignored."""
        if phase in self._tasks:
            self._bars.update(self._tasks[phase], completed=done)

    def finish(self, phase: str) -> None:
        """Remove a bar; the outermost stays until the end."""
        if self._depths.get(phase) and phase in self._tasks:
            self._bars.remove_task(self._tasks.pop(phase))
