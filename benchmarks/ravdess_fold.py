"""Train on RAVDESS with one EmoBox fold held out; score the exported file as `edge-ser run` does.

The four actors of the fold are never heard in training nor used to choose the epoch. Prints the
weighted accuracy of the ONNX model on their 240 clips, and exits 1 when it is below --at-least.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.progress import track

from edge_ser.cli import group
from edge_ser.corpora import load_corpus
from edge_ser.metrics import confusion, unweighted_average_recall, weighted_accuracy
from edge_ser.recognition.recognizer import Recognizer

EMOBOX_FOLDS = (
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)
"""Test actors of the six RAVDESS folds of EmoBox (arXiv 2406.07162)."""


def main() -> int:
    """Train, export, recognise, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--fold", type=int, choices=range(1, 7), default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-least", type=float, default=58.0, help="percent")
    options = parser.parse_args()
    actors = EMOBOX_FOLDS[options.fold - 1]
    corpus = f"RAVDESS={options.corpora / 'RAVDESS'}"
    with tempfile.TemporaryDirectory() as scratch:
        run, model = Path(scratch, "run"), Path(scratch, "model.onnx")
        speakers = ",".join(map(str, actors))
        edge_ser("train", "--corpus", corpus, "--test-speakers", speakers, "--out", run,
                 "--seed", options.seed)  # fmt: skip
        edge_ser("export", run, "--out", model)
        recognizer = Recognizer(model)
        labels = recognizer.card.labels
        clips = [c for c in load_corpus(corpus) if int(c.speaker.split("/")[1]) in actors]
        predicted = [
            recognizer.recognize(clip.path, clip.channel, vad=False).final.label
            for clip in track(clips, f"{len(clips)} clips", transient=True)
        ]
    counts = confusion(
        [labels.index(clip.emotion) for clip in clips],
        [labels.index(label) for label in predicted if label is not None],
        len(labels),
    )
    wa = 100 * weighted_accuracy(counts)
    uar = 100 * unweighted_average_recall(counts)
    print(
        f"RAVDESS, EmoBox fold {options.fold} (actors {speakers} held out), seed {options.seed}, "
        f"exported ONNX on {len(clips)} clips: WA {wa:.1f}%, UAR {uar:.1f}%"
    )
    if wa < options.at_least:
        print(f"below the {options.at_least:g}% that was asked for", file=sys.stderr)
        return 1
    return 0


def edge_ser(*arguments: object) -> None:
    """Run a command of `edge-ser` in this process."""
    group([str(a) for a in arguments], prog_name="edge-ser", standalone_mode=False)


if __name__ == "__main__":
    sys.exit(main())
