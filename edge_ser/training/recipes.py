"""Named settings; the values that they leave out are the defaults of `TrainConfig`."""

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
"""The compact network with a teacher: what results/RESULTS.md calls ours, as JSON has it."""


def overlaid(settings: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return settings with changes over them, within nested ones too."""
    result = dict(settings)
    for name, change in changes.items():
        own = result.get(name)
        both = isinstance(own, Mapping) and isinstance(change, Mapping)
        result[name] = overlaid(own, change) if both else change  # type: ignore[arg-type]
    return result
