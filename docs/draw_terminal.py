"""Draw docs/terminal-*.svg: what `edge-ser run` shows while the example clips are heard.

Everything in the pictures was recognised while they were drawn: the clips and pauses between them go
through the live runtime as if they came from a microphone.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.terminal_theme import MONOKAI, TerminalTheme

from edge_ser._util.files import write_text
from edge_ser.audio.io import AudioChunk, dbfs, load
from edge_ser.cli.view.screen import draw
from edge_ser.cli.view.view_state import ViewState
from edge_ser.recognition.recognizer import Recognizer
from edge_ser.vad.detectors import open_detector

ROOT = Path(__file__).resolve().parent.parent
RATE = 16_000
BLOCK_S = 0.1
PAUSES_S = (2.0, 1.5, 3.0, 1.5, 2.5)
DRAWN_AT_S = 44.75
"""Within the second time that the last clip is heard."""
SIZES = {80: 32, 160: 32}
"""Rows, by columns."""

_ANSI = [(0, 0, 0)] * 8
LIGHT = TerminalTheme((255, 255, 255), (36, 41, 47), _ANSI, _ANSI)


def chunks() -> Iterator[AudioChunk]:
    """Yield the clips with soft noise around them, in the blocks and at the times of a microphone."""
    rng = np.random.default_rng(0)
    first, *others = sorted((ROOT / "examples").glob("*.wav"))
    parts = [np.zeros(RATE * 2, np.float32)]
    for clip, pause_s in zip([*others, first] * 2, PAUSES_S * 2, strict=True):
        parts += [load(clip, RATE), np.zeros(int(pause_s * RATE), np.float32)]
    audio = np.concatenate(parts)
    audio += rng.normal(0, 3e-4, len(audio)).astype(np.float32)
    size = int(BLOCK_S * RATE)
    for at in range(0, len(audio), size):
        yield AudioChunk(audio[at : at + size], RATE)


class Clock:
    """Monotonic time as if audio came from a microphone: blocks take their time, and so does work."""

    def __init__(self) -> None:
        self._block_s = 0.0
        self._began_s = time.perf_counter()

    def next_block(self) -> float:
        """Let the next block have come just now; return the time."""
        self._block_s += BLOCK_S
        self._began_s = time.perf_counter()
        return self._block_s

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._block_s + time.perf_counter() - self._began_s


def listen() -> Iterator[tuple[ViewState, float]]:
    """Yield the state of the view after each block, and the time."""
    clock, state = Clock(), ViewState()
    recognizer = Recognizer()
    stream = recognizer.open_stream(
        "mic:USB microphone",
        detector=open_detector(),
        settings=recognizer.stream_settings(),
        clock=clock,
    )
    for chunk in chunks():
        now_s = clock.next_block()
        for event in stream.push(replace(chunk, captured_s=now_s)):
            state.event(event)
        state.level(dbfs(chunk.samples), stream.voice, now_s, stream.at_s)
        yield state, now_s


def main() -> None:
    """Listen for a while, and draw what stands there then."""
    os.chdir(ROOT)
    state, now_s = next((state, now_s) for state, now_s in listen() if now_s >= DRAWN_AT_S)
    for width, height in SIZES.items():
        for name, theme in (("dark", MONOKAI), ("light", LIGHT)):
            console = Console(
                record=True,
                width=width,
                force_terminal=True,
                color_system="truecolor",
                file=io.StringIO(),
            )
            console.print(Group(*draw(state, width, height, now_s)))
            svg = console.export_svg(title="edge-ser run --mic", theme=theme)
            write_text(ROOT / "docs" / f"terminal-{width}-{name}.svg", _without_web_font(svg))


def _without_web_font(svg: str) -> str:
    """Rich's style sheet fetches a font from the network; a monospace font is on every machine."""
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    end = svg.index("}", end) + 1
    return (svg[:start] + svg[end:]).replace("Fira Code", "DejaVu Sans Mono")


if __name__ == "__main__":
    main()
