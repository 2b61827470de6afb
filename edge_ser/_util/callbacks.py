"""Types of the functions that long work calls: progress and messages."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, float], None]
"""Called with a description of the work and the share of it that is done, in [0, 1]."""

OnShare = Callable[[float], None]
"""Called with the share of one piece of work that is done, in [0, 1]."""

OnItem = Callable[[], None]
"""Called after each item of known number: a clip, a fit, a layer."""

OnMessage = Callable[[str, str], None]
"""Called with the level of a message (`error`, `warning`, `info`, `verbose`) and its text."""
