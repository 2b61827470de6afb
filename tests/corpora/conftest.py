"""Trees of official and other file names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from official_trees import touch_all

MakeTree = Callable[[Iterable[str]], Path]


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Make empty files in a fresh folder: an adaptor that opened one would fail."""
    return functools.partial(touch_all, tmp_path / "tree")
