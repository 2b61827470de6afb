"""Types of callbacks for progress and messages."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, float], None]
"""Called with a description of the task and its finished share, in [0, 1]."""

OnShare = Callable[[float], None]
"""Called with the finished share of one task, in [0, 1]."""

OnItem = Callable[[], None]
"""Called after each item of known number: a clip, a fit, a layer."""

OnMessage = Callable[[str, str], None]
"""Called with the level of a message (`error`, `warning`, `info`, `verbose`) and its text."""
