"""Choice of the emotions that become the labels of a training."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ser.corpora import Clip, common_emotions, occurring_emotions, sort_emotions
from edge_ser.errors import ConfigError

_MIN_LABELS = 2


def choose_labels(clips: Sequence[Clip], wanted: str | frozenset[str] | None) -> tuple[str, ...]:
    """Return the labels, in the order of the shared vocabulary.

    Args:
        clips: what there is.
        wanted: comma-separated emotions; `all` for every one that occurs; a set of exact names; None
            for those that every corpus can have.

    Raises:
        ConfigError: an emotion that no clip has, or fewer than two labels.
    """
    every = occurring_emotions(clips)
    chosen: frozenset[str]
    if wanted is None:
        chosen = common_emotions(clips)
    elif isinstance(wanted, str) and wanted.strip().lower() == "all":
        chosen = every
    else:
        if isinstance(wanted, str):
            wanted = frozenset(name.strip().lower() for name in wanted.split(",") if name.strip())
        chosen = wanted
        if unknown := sorted(chosen - every):
            raise ConfigError(
                f"no clip is labelled {', '.join(unknown)}; there are {', '.join(sort_emotions(every))}"
            )
    if len(chosen) < _MIN_LABELS:
        raise ConfigError(
            f"{len(chosen)} label(s) are left ({', '.join(sorted(chosen)) or 'none'}), at least two "
            "are needed; name them with --labels, or --labels all"
        )
    return sort_emotions(chosen)
