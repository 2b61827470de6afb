"""Valid records, with something in every field, that fuzzing starts from."""

from __future__ import annotations

import dataclasses
import json

from support import make_card

from edge_ser.card import Accuracy, CorpusUse

CARD = make_card(
    corpora=(CorpusUse("RAVDESS", 1440, ("1", "2"), "CC BY-NC-SA 4.0", "Livingstone 2018"),),
    accuracy=(
        Accuracy("speaker-independent", "test", "RAVDESS", ("3",), 60, 0.7, 0.6, {"low": 0.5}),
    ),
    versions={"numpy": "2"},
    taught_by=("wav2vec",),
)


def as_json(record: object) -> dict:
    """Return a dataclass as parsed JSON."""
    return json.loads(json.dumps(dataclasses.asdict(record)))
