"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import EXAMPLES, ROOT, skip_or_fail, write_tiny_model


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """The folder of real speech: EDGE_SER_CORPORA, or ../shared/corpora beside the checkout."""
    path = Path(os.environ.get("EDGE_SER_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not path.is_dir():
        skip_or_fail(f"there are no corpora at {path}; set EDGE_SER_CORPORA")
    return path


@pytest.fixture(scope="session")
def example_clips() -> list[Path]:
    """The clips that ship with the project."""
    clips = sorted(EXAMPLES.glob("*.wav"))
    assert len(clips) == 5
    return clips


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A small valid model file."""
    return write_tiny_model(tmp_path / "tiny.onnx")
