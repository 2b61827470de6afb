"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from official_trees import official_names, touch_all
from studio import Studio
from support import EXAMPLES, ROOT, skip_or_fail, write_tiny_model

from edge_ser.corpora import CORPORA, Clip, load_corpus

# How long an example takes says more about the machine's other work than about the code. In CI the
# examples are the same in each run: what fails there can be seen again; new ones are sought at the desk.
strict = os.environ.get("EDGE_SER_STRICT") == "1"
settings.register_profile("any machine", deadline=None, derandomize=strict)
settings.load_profile("any machine")


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


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A real, virtual microphone."""
    studio = Studio(tmp_path)
    yield studio
    studio.close()


@pytest.fixture(scope="session")
def official_paths() -> dict[str, list[str]]:
    """Every path of each official release, in the layout people unpack it into."""
    return official_names()


@pytest.fixture(scope="session")
def official_root(
    official_paths: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a tree of empty files for each official release."""
    root = tmp_path_factory.mktemp("official")
    for corpus, paths in official_paths.items():
        touch_all(root / corpus, paths)
    return root


@pytest.fixture(scope="session")
def official_clips(official_root: Path) -> dict[str, tuple[Clip, ...]]:
    """What is loaded from each tree in official_root."""
    return {corpus: load_corpus(f"{corpus}={official_root / corpus}") for corpus in CORPORA}
