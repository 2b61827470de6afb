"""What the tests of deploy/ share: a wheel, and a tree that install.sh fills."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deploying import OPTIONS, Tree, tool
from support import ROOT, skip_or_fail


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("my wheels")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "-w",
            str(folder),
            str(ROOT),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        skip_or_fail(f"the wheel cannot be built here: {built.stderr.strip()}")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture
def tree(tmp_path: Path, wheel: Path) -> Tree:
    """An empty one."""
    tool("systemctl", "apt install systemd")
    root = tmp_path / "root"
    root.mkdir()
    return Tree(root, wheel)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A file that stands for an engine, in a folder with a space, and what belongs to it."""
    path = tmp_path_factory.mktemp("my models") / "site.engine"
    path.write_bytes(b"an engine")
    path.with_name("site.engine.json").write_text("{}")
    return path


@pytest.fixture(scope="session")
def installed_once(tmp_path_factory, wheel: Path, model: Path) -> Tree:
    tool("systemctl", "apt install systemd")
    once = Tree(tmp_path_factory.mktemp("installed"), wheel)
    once.install(*OPTIONS, "--model", str(model))
    return once


@pytest.fixture
def installed(tree: Tree, installed_once: Tree) -> Tree:
    """One with `OPTIONS` and the model: a copy, since nothing in it names its own place."""
    shutil.copytree(installed_once.root, tree.root, symlinks=True, dirs_exist_ok=True)
    return tree
