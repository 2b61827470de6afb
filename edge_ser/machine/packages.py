"""Installed packages and libraries, found without importing them."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ser.machine.reading import ROOT, Run, below, commands_of

_CUDA_FOLDERS = ("usr/local/cuda*/lib64", "usr/local/cuda*/targets/*/lib")


def parse_ldconfig(text: str) -> dict[str, str]:
    """Return the first path of each name, such as libcudart.so.12, in the output of `ldconfig -p`."""
    found: dict[str, str] = {}
    for name, path in re.findall(r"^\s+(\S+) \(.*?\) => (\S+)$", text, re.MULTILINE):
        found.setdefault(name, path)
    return found


def find_libraries(stem: str, root: Path = ROOT, run: Run | None = None) -> tuple[str, ...]:
    """Return the paths of all versions of a library, such as `libcudart.so`.

    CUDA's folders are searched too: its packages do not always register them with the loader.
    """
    known = parse_ldconfig((run or commands_of(root))("ldconfig", "-p") or "")
    paths = [path for name, path in known.items() if name.startswith(f"{stem}.")]
    for pattern in _CUDA_FOLDERS:
        for folder in below(root, pattern):
            paths += [f"/{path.relative_to(root)}" for path in below(folder, f"{stem}.*")]
    return tuple(dict.fromkeys(paths))


@dataclass(frozen=True)
class SystemPackage:
    """Package of the system's Python, outside this environment."""

    folder: str
    version: str | None
    python: str | None
    """The only supported Python, such as 3.10; None if not restricted."""

    @property
    def fits(self) -> bool:
        """Whether an environment of this Python version could use it."""
        return self.python in {None, "{}.{}".format(*sys.version_info)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that are installed in this environment."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def system_package(name: str, root: Path = ROOT) -> SystemPackage | None:
    """Find a module in the install folders of Debian's and JetPack's packages.

    Args:
        name: import name, such as `tensorrt`.
        root: root folder of the machine's files.
    """
    for base in ("usr/lib", "usr/local/lib"):
        for folder in below(root / base, "python3*/dist-packages"):
            if not (folder / name / "__init__.py").is_file():
                continue
            versions = [
                found.group(1)
                for info in below(folder, f"{name}-*.*-info")
                if (found := re.fullmatch(rf"{name}-([\d.]+\w*?)\.(?:dist|egg)-info", info.name))
            ]
            python = re.fullmatch(r"python(3\.\d+)", folder.parent.name)
            return SystemPackage(
                f"/{folder.relative_to(root)}",
                versions[0] if versions else None,
                python.group(1) if python else None,
            )
    return None
