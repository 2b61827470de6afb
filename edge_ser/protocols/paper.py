"""The split of the paper's notebooks: rows of clips and of their copies, shuffled, then cut.

arXiv 2507.03251, github.com/spilabkorea/ser. It measures remembering: nearly every test row has an
augmented copy of the same recording in training. It is here to be shown beside honest figures.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from edge_ser.corpora import Clip, PaperAugmentation
from edge_ser.errors import ConfigError
from edge_ser.protocols.fold import Fold

PAPER = "paper"
_TEST_SHARE = 0.2
_SEED = 42


def paper_rows(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Return four rows of each clip: itself, with noise, shifted in pitch, with both."""
    return tuple(
        dataclasses.replace(clip, copy=copy) for clip in clips for copy in PaperAugmentation
    )


def paper_split(clips: Sequence[Clip]) -> tuple[Fold]:
    """Return the notebooks' one fold: 80% of the rows for training, 20% for the test.

    Rows stand where `sklearn.model_selection.train_test_split(rows, test_size=0.2, random_state=42,
    shuffle=True)` puts them, in its order.

    Raises:
        ConfigError: no clip.
    """
    import numpy as np

    rows = paper_rows(clips)
    if not rows:
        raise ConfigError("no clip came, so there is nothing to split; give a --corpus")
    order = np.random.RandomState(_SEED).permutation(len(rows))
    n_test = math.ceil(_TEST_SHARE * len(rows))
    return (
        Fold(
            protocol=PAPER,
            name="rows",
            train=tuple(rows[place] for place in order[n_test:]),
            validation=(),
            test=tuple(rows[place] for place in order[:n_test]),
        ),
    )
