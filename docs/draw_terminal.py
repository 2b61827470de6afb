"""Draw docs/terminal.svg: what `edge-ser run` shows on a terminal, for two of the example clips."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from edge_ser.cli.output import window_view
from edge_ser.files import write_text
from edge_ser.runtime.recognizer import Recognizer

ROOT = Path(__file__).resolve().parent.parent
CLIPS = ("examples/1013_ITH_ANG_XX.wav", "examples/1036_ITH_NEU_XX.wav")


def main() -> None:
    """Recognise the clips and write the picture."""
    os.chdir(ROOT)
    console = Console(
        record=True, width=64, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    recognizer = Recognizer()
    console.print(f"[bold green]$[/] edge-ser run --wav {' '.join(CLIPS)}", soft_wrap=False)
    console.print()
    for clip in CLIPS:
        console.print(window_view(recognizer.recognize(clip).final, recognizer.card.labels))
    svg = console.export_svg(title="edge-ser", theme=MONOKAI)
    # The default style sheet fetches a font from the network; a monospace font is on every machine.
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    end = svg.index("}", end) + 1
    svg = svg[:start] + svg[end:]
    write_text(ROOT / "docs" / "terminal.svg", svg.replace("Fira Code", "DejaVu Sans Mono"))


if __name__ == "__main__":
    main()
