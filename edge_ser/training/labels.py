"""Choice of the labels of a training."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.corpora import Clip, common_emotions, occurring_emotions, sort_emotions
from edge_ser.errors import ConfigError

_MIN_LABELS = 2


def choose_labels(clips: Sequence[Clip], requested: str | frozenset[str] | None) -> tuple[str, ...]:
    """Return the labels, in the order of the shared vocabulary.

    Args:
        clips: the clips of all corpora.
        requested: comma-separated emotions; `all` for every one that occurs; a set of exact names;
            None for those that every corpus can have.

    Raises:
        ConfigError: an emotion without clips, or fewer than two labels.
    """
    every = occurring_emotions(clips)
    chosen: frozenset[str]
    if requested is None:
        chosen = common_emotions(clips)
    elif isinstance(requested, str) and requested.strip().lower() == "all":
        chosen = every
    else:
        if isinstance(requested, str):
            requested = frozenset(
                name.strip().lower() for name in requested.split(",") if name.strip()
            )
        chosen = requested
        if unknown := sorted(chosen - every):
            raise ConfigError(
                f"expected labels among {', '.join(sort_emotions(every))}, got "
                f"{', '.join(unknown)} without clips; name others with --labels"
            )
    if len(chosen) < _MIN_LABELS:
        raise ConfigError(
            f"expected at least two labels, got {len(chosen)} label(s) "
            f"({', '.join(sorted(chosen)) or 'none'}); name them with --labels, or --labels all"
        )
    return sort_emotions(chosen)
