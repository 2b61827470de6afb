"""What tests of deploy/ stand on: programs that may be missing, and trees that install.sh fills."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support import ROOT, skip_or_fail

DEPLOY = ROOT / "deploy"
OPTIONS = ("--options", "--device 'USB Audio'", "--cpu")


def tool(name: str, remedy: str) -> str:
    """Return the path of a program, beside this Python or on PATH; skip or fail without it."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=str(beside)) or shutil.which(name)
    return found or skip_or_fail(f"{name} is not installed: {remedy}")


@dataclass(frozen=True)
class Tree:
    """An empty file system that install.sh fills, as for the image of a device."""

    root: Path
    wheel: Path

    def install(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run install.sh into it, with the package alone: what it needs comes from the index."""
        done = subprocess.run(
            [
                "bash",
                str(DEPLOY / "install.sh"),
                *("--root", str(self.root), "--python", sys.executable, "--from", str(self.wheel)),
                *options,
            ],
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def files(self) -> dict[str, bytes | str]:
        """Return what lies in it: contents by path, and where links point; not compiled Python."""
        return {
            str(path.relative_to(self.root)): str(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if (path.is_file() or path.is_symlink()) and path.suffix != ".pyc"
        }

    def __truediv__(self, path: str) -> Path:
        return self.root / path
