"""Which shared libraries the system's loader knows."""

from __future__ import annotations

import re
from pathlib import Path

from edge_ser.machine.reading import ROOT, Run, below, commands_of

_CUDA_FOLDERS = ("usr/local/cuda*/lib64", "usr/local/cuda*/targets/*/lib")


def parse_ldconfig(text: str) -> dict[str, str]:
    """Return path by name, such as libcudart.so.12, out of `ldconfig -p`; the first one counts."""
    found: dict[str, str] = {}
    for name, path in re.findall(r"^\s+(\S+) \(.*?\) => (\S+)$", text, re.MULTILINE):
        found.setdefault(name, path)
    return found


def find_libraries(stem: str, root: Path = ROOT, run: Run | None = None) -> tuple[str, ...]:
    """Return the paths of a library's versions, such as of `libcudart.so`.

    CUDA's own folder is looked at too: its packages do not always tell the loader.
    """
    known = parse_ldconfig((run or commands_of(root))("ldconfig", "-p") or "")
    paths = [path for name, path in known.items() if name.startswith(f"{stem}.")]
    for pattern in _CUDA_FOLDERS:
        for folder in below(root, pattern):
            paths += [f"/{path.relative_to(root)}" for path in below(folder, f"{stem}.*")]
    return tuple(dict.fromkeys(paths))
