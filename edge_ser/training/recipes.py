"""Named settings, as changes to the defaults of `TrainConfig`."""

from __future__ import annotations

from collections.abc import Mapping

DISTILLED: Mapping[str, object] = {
    "epochs": 24,
    "weight_decay": 0.0,
    "teacher_weight": 20.0,
    "strides": [2, 1, 1, 1],
    "augment": {
        "mixup_alpha": 0.0,
        "time_mask": 0,
        "band_mask": 0,
        "noise_share": 0.0,
        "response_db": 1.0,
        "vtlp": 0.05,
    },
}
"""Compact network with a teacher, in JSON form; the network called ours in results/RESULTS.md."""


def overlaid(settings: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return settings updated by changes, recursively."""
    result = dict(settings)
    for name, change in changes.items():
        value = result.get(name)
        both = isinstance(value, Mapping) and isinstance(change, Mapping)
        result[name] = overlaid(value, change) if both else change  # type: ignore[arg-type]
    return result
