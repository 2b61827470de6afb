"""The programs in examples/, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import EXAMPLES

from edge_ser.recognition.recognizer import Recognizer


def run(name: str, clip: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(clip)],
        capture_output=True,
        text=True,
        check=True,
        cwd=EXAMPLES.parent,
        timeout=60,
    )
    return done.stdout


def test_the_loop_says_what_recognize_says(example_clips):
    for clip in example_clips[:2]:
        recognizer = Recognizer()
        final = recognizer.recognize(clip).final
        sure = final.probs[final.label] >= recognizer.card.abstain_below
        label = final.label if sure else "not sure"
        assert run("loop.py", clip).splitlines()[-1].endswith(f"in sum: {label}")


def test_the_callback_hears_a_session(example_clips):
    kinds = run("callback.py", example_clips[0]).split()
    assert (kinds[0], kinds[-2], kinds[-1]) == ("start", "clip", "end")


def test_asyncio_hears_an_utterance(example_clips):
    first, second = run("with_asyncio.py", example_clips[0]).splitlines()
    assert first.startswith("speech_start ")
    assert second.startswith("speech_end ")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_every_program_is_short(path):
    """Four lines are the promise; what stands around them is printing."""
    assert len(path.read_text().splitlines()) < 30
