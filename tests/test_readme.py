"""The README is true: its code runs, and its figures of the bundled model are those in its card."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support import ROOT

from edge_ser.cli import group
from edge_ser.inference.loader import open_runner
from edge_ser.recognition.events import to_json
from edge_ser.recognition.recognizer import Recognizer

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(done.stdout.split()) <= set(open_runner().card.labels)
    assert done.stdout


def test_the_line_of_json_is_what_the_clip_gives():
    (line,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    shown = json.loads(line)
    recognizer = Recognizer()
    said = recognizer.recognize(ROOT / shown["source"]).final
    clip = next(e for e in recognizer.listen(ROOT / shown["source"]) if e.kind == "clip")
    assert shown.keys() <= json.loads(to_json(clip)).keys()
    assert (shown["seq"], shown["at_s"]) == (clip.seq, round(clip.at_s, 4))

    assert shown["label"] == said.label
    assert shown["probs"] == {label: round(p, 3) for label, p in said.probs.items()}
    assert shown["confidence"] == round(said.confidence, 3)


@pytest.mark.parametrize(
    ("row", "corpus"),
    [
        ("bundled model, 6 classes", "all"),
        ("same, on RAVDESS", "RAVDESS"),
        ("same, on EMO-DB", "EMO-DB"),
    ],
)
def test_the_figures_of_the_bundled_model_are_those_of_its_card(row, corpus):
    (measured,) = (
        a for a in open_runner().card.accuracy if (a.split, a.corpus) == ("test", corpus)
    )
    (line,) = (line for line in README.splitlines() if line.startswith("|") and row in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]

    assert cells[2] == f"{measured.n_clips} clips of {len(measured.speakers)} speakers"
    assert cells[3:5] == [f"{100 * measured.wa:.1f}%", f"{100 * measured.uar:.1f}%"]


def test_its_licence_is_said_where_people_look():
    card = open_runner().card

    assert "CC BY-NC-SA 4.0" in card.weights_licence
    assert "non-commercial" in card.weights_licence
    assert {use.name: use.licence for use in card.corpora}["RAVDESS"] == "CC BY-NC-SA 4.0"
    assert "CC BY-NC-SA 4.0" in README
    assert "non-commercial" in README


def test_every_command_that_is_named_exists():
    named = set(re.findall(r"edge-ser ([\w-]+)", README))

    assert named == set(group.list_commands(None))  # type: ignore[arg-type]


def test_every_target_that_is_named_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make ([\w-]+)", README)) <= targets
