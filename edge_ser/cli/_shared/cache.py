"""Default cache folder of the commands."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """Return edge-ser's directory among the user's caches."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "edge-ser"
