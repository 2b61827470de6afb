"""Bars for the phases of a TensorRT build, one below the other as they nest."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import Progress, TaskID


class BuildProgress:
    """Shows what `build.engine.strongly_typed.Progress` hears; a pulse until it hears anything."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(console=console, transient=True)
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
        """Take them away."""
        self._bars.stop()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """Add a bar."""
        self._bars.update(self._waiting, visible=False)
        self._depths[phase] = self._depths.get(parent, -1) + 1 if parent else 0
        indent = "  " * self._depths[phase]
        self._tasks[phase] = self._bars.add_task(indent + phase, total=steps)

    def step(self, phase: str, done: int) -> None:
        """Move a bar; a phase that is over, or was never begun, is none of ours."""
        if phase in self._tasks:
            self._bars.update(self._tasks[phase], completed=done)

    def finish(self, phase: str) -> None:
        """Remove a bar; the outermost stays to the end."""
        if self._depths.get(phase) and phase in self._tasks:
            self._bars.remove_task(self._tasks.pop(phase))
