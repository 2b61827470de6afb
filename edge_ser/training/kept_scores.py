"""Logits of a fold, kept in a file so that decisions can be fitted on all folds together."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.files import replacing
from edge_ser.errors import TrainingError
from edge_ser.scores import Scores

_TEST = "test"
_GATE = "gate "


def save_scores(path: Path, scores: Scores, gates: Mapping[str, Scores]) -> None:
    """Write logits of test clips and gates, whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {}
    named = {_TEST: scores, **{_GATE + name: own for name, own in gates.items()}}
    for name, own in named.items():
        arrays[f"{name}/logits"] = np.concatenate(own.logits)
        arrays[f"{name}/sizes"] = np.array([len(one) for one in own.logits])
        arrays[f"{name}/truth"] = own.truth
        if own.arousal is not None:
            arrays[f"{name}/arousal"] = own.arousal
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load_scores(path: Path) -> tuple[Scores, dict[str, Scores]]:
    """Read what `save_scores` wrote.

    Raises:
        TrainingError: a damaged file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            named = {
                name: _scores(name, arrays)
                for name in {key.rpartition("/")[0] for key in arrays.files}
            }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path} is damaged ({error}); run the command again without --resume"
        ) from None
    test = named.pop(_TEST)
    return test, {name.removeprefix(_GATE): own for name, own in sorted(named.items())}


def _scores(name: str, arrays: Mapping[str, NDArray[np.float64]]) -> Scores:
    ends = np.cumsum(arrays[f"{name}/sizes"]).astype(int)[:-1]
    key = f"{name}/arousal"
    return Scores(
        tuple(np.split(arrays[f"{name}/logits"], ends)),
        arrays[f"{name}/truth"].astype(np.int64),
        arousal=arrays.get(key),
    )
