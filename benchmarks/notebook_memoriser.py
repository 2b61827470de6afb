"""Accuracy of a nearest-neighbour memoriser under the split of the paper's RAVDESS and SAVEE notebooks.

In these notebooks, a clip gives 256 rows of its spectrogram, each row is a sample with the clip's
emotion, and all rows are shuffled and split 80/20. This benchmark scores a 1-nearest-neighbour
classifier (Euclidean), which only memorises, under three splits: rows shuffled, grouped by clip, and
grouped by actor. The difference between the first and the others is due to the leak.

The features are not those of the notebooks: a row is one of 256 mel bands (librosa, dB, up to 8 kHz) of
the section that the other notebooks read, 2.5 s from 0.6 s at 22,050 Hz. Each split is five-fold, and
--queries rows, drawn by --seed, are looked up in all training rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
from rich.progress import track

from edge_ser._util.files import write_text
from edge_ser.corpora import Clip, load_corpus
from edge_ser.training.augmentation.copies import load_copy

SAMPLE_RATE, OFFSET_S, DURATION_S = 22_050, 0.6, 2.5
N_ROWS, N_FFT, HOP_LENGTH, FMAX_HZ = 256, 2048, 512, 8000
N_FOLDS = 5
KEYS = ("notebook", "clip_grouped", "speaker_independent")
"""Names of the three splits in the JSON record."""


@dataclass(frozen=True)
class Score:
    """Accuracy of the nearest training row under one split."""

    split: str
    accuracy: float
    """In [0, 1], over `n_queries` test rows."""
    n_queries: int


def main() -> int:
    """Compute the rows, score the three splits, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--corpus", default="RAVDESS")
    parser.add_argument("--queries", type=int, default=2000, help="test rows to look up, per split")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    clips = load_corpus(f"{options.corpus}={options.corpora / options.corpus}")
    rows = np.concatenate(
        [spectrogram_rows(clip) for clip in track(clips, f"{len(clips)} clips", transient=True)]
    )
    emotions = repeat([clip.emotion for clip in clips])
    groups = {
        "rows shuffled, as the notebooks do": np.arange(len(rows)),
        "whole clips on one side": repeat([clip.group for clip in clips]),
        "whole actors on one side": repeat([clip.speaker for clip in clips]),
    }
    scores = [
        score(name, rows, emotions, group, options.queries, options.seed)
        for name, group in track(groups.items(), "nearest neighbours", transient=True)
    ]
    chance = float(np.unique(emotions, return_counts=True)[1].max() / len(emotions))
    print(f"{options.corpus}: {len(clips)} clips, {len(rows)} rows of {rows.shape[1]} numbers")
    for result in scores:
        print(f"{result.split:<36}{100 * result.accuracy:6.1f}%  ({result.n_queries} rows)")
    print(f"{'the most frequent emotion':<36}{100 * chance:6.1f}%")
    if options.json:
        record = {
            "corpus": options.corpus,
            "n_clips": len(clips),
            "n_rows": len(rows),
            "seed": options.seed,
            "most_frequent": chance,
            "n_queries": options.queries,
            # Shares in [0, 1], in the order of `groups`.
            **dict(zip(KEYS, (result.accuracy for result in scores), strict=True)),
        }
        write_text(options.json, json.dumps(record, indent=1) + "\n")
    return 0


def spectrogram_rows(clip: Clip) -> np.ndarray:
    """Return mel bands in dB, float32 [256, n_frames]; short clips are padded with silence."""
    samples = load_copy(clip, SAMPLE_RATE, OFFSET_S, DURATION_S)
    padded = np.zeros(round(DURATION_S * SAMPLE_RATE), dtype=np.float32)
    padded[: len(samples)] = samples
    power = librosa.feature.melspectrogram(
        y=padded, sr=SAMPLE_RATE, n_mels=N_ROWS, n_fft=N_FFT, hop_length=HOP_LENGTH, fmax=FMAX_HZ
    )
    return librosa.power_to_db(power, top_db=None).astype(np.float32)


def repeat(values: Sequence[str]) -> np.ndarray:
    """Return the value of each clip as a number, repeated for each of its rows."""
    return np.repeat(np.unique(values, return_inverse=True)[1], N_ROWS)


def score(
    name: str, rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, n_queries: int, seed: int
) -> Score:
    """Score the memoriser over five folds; a group is never split between folds."""
    rng = np.random.default_rng(seed)
    names, group = np.unique(groups, return_inverse=True)
    fold = (rng.permutation(len(names)) % N_FOLDS)[group]
    hits = n_scored = 0
    for number in range(N_FOLDS):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        queries = rng.choice(test, min(len(test), n_queries // N_FOLDS), replace=False)
        neighbours = train[nearest(rows[queries], rows[train])]
        hits += int((labels[neighbours] == labels[queries]).sum())
        n_scored += len(queries)
    return Score(name, hits / n_scored, n_scored)


def nearest(queries: np.ndarray, known: np.ndarray, block: int = 16_384) -> np.ndarray:
    """Return the index of the nearest known row for each query."""
    best = np.full(len(queries), np.inf, dtype=np.float32)
    index = np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(known), block):
        part = known[start : start + block]
        # The squared norm of the query does not affect the order and is left out.
        distance = np.square(part).sum(axis=1) - 2 * queries @ part.T
        closest = distance.argmin(axis=1)
        value = distance[np.arange(len(queries)), closest]
        better = value < best
        best[better], index[better] = value[better], start + closest[better]
    return index


if __name__ == "__main__":
    sys.exit(main())
