"""Accuracy of emotion recognition on RAVDESS from each layer of the teacher, to select the layer.

The classifier is a logistic regression on mean and deviation of a layer's frames over a clip. In each of
six folds, it is trained on 16 actors and validated on 4 others, the test actors of EmoBox's next fold,
so that the test actors of a fold do not influence the choice of its teacher. Prints WA; writes no file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ser.audio.io import load
from edge_ser.corpora import load_corpus
from edge_ser.errors import EdgeSerError
from edge_ser.splits.other import TEST_SPEAKERS
from edge_ser.training.distillation.teacher import SAMPLE_RATE, Teacher

LAYERS = {
    "convolutions": "add_20",
    "layer 1 (it teaches)": "add_146",
    "layer 2": "add_268",
    "layer 3": "add_390",
    "layer 4": "layer_norm_8",
}
"""Tensor of the residual stream after each part of the encoder."""


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True, help="with RAVDESS in it")
    options = parser.parse_args()
    try:
        clips = load_corpus(f"RAVDESS={options.corpora / 'RAVDESS'}")
        samples = [load(clip.path, SAMPLE_RATE, clip.channel) for clip in clips]
        emotions = np.array([clip.emotion for clip in clips])
        actors = np.array([int(clip.speaker.rpartition("/")[2]) for clip in clips])
        for name, tensor in LAYERS.items():
            teacher = Teacher(tensor)
            shown = track(samples, name, transient=True, disable=not sys.stdout.isatty())
            frames = [teacher.encode(s) for s in shown]
            accuracies = cross_validated(
                np.stack([pooled(one) for one in frames]), emotions, actors
            )
            by_fold = " ".join(f"{100 * wa:.1f}" for wa in accuracies)
            print(f"{name:<21} WA {100 * np.mean(accuracies):.1f}%  ({by_fold})", flush=True)
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def pooled(frames: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the mean and deviation over time of frames [n_frames, width]: [2 * width]."""
    wide = frames.astype(np.float32)
    return np.concatenate([wide.mean(0), wide.std(0)])


def cross_validated(
    rows: NDArray[np.float32], emotions: NDArray[np.str_], actors: NDArray[np.int_]
) -> list[float]:
    """Return the WA on the validation clips of each of the six folds."""
    folds = [[int(actor) for actor in fold] for fold in TEST_SPEAKERS["RAVDESS"]]
    accuracies = []
    for index, test in enumerate(folds):
        validated = np.isin(actors, folds[(index + 1) % len(folds)])
        trained = ~validated & ~np.isin(actors, test)
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, max_iter=300, class_weight="balanced")
        )
        model.fit(rows[trained], emotions[trained])
        accuracies.append(float(model.score(rows[validated], emotions[validated])))
    return accuracies


if __name__ == "__main__":
    sys.exit(main())
