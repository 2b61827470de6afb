"""How people do on the same clips: the listening tests that EMO-DB and CREMA-D come with.

Reads `erkennung.txt` of EMO-DB and `summaryTable.csv` of CREMA-D below --corpora, and writes
results/listeners.json, which RESULTS.md shows beside the machines.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from pathlib import Path

from edge_ser._util.files import write_text
from edge_ser.corpora import load_corpus
from edge_ser.errors import CorpusError, EdgeSerError

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Compute both figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True, help="with EMO-DB and CREMA-D in it")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "listeners.json")
    options = parser.parse_args()
    try:
        rates = emo_db_rates(options.corpora / "EMO-DB")
        votes = crema_d_shares(options.corpora / "CREMA-D")
        figures = {
            "EMO-DB": {"recognised": _mean(rates), "least": min(rates), "n_clips": len(rates)},
            "CREMA-D": {"recognised": _mean(votes), "n_clips": len(votes)},
        }
        write_text(options.out, json.dumps(figures, indent=1) + "\n")
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for corpus, figure in figures.items():
        print(f"{corpus}: {100 * figure['recognised']:.1f}% over {figure['n_clips']} clips")
    return 0


def emo_db_rates(root: Path) -> list[float]:
    """Return the share of listeners, in [0, 1], who recognised each clip of the corpus.

    The file holds takes that were not published as well; only the clips that are there count.
    """
    lines = _text(root, "erkennung.txt", "latin-1").splitlines()[1:]
    columns = [[cell.strip("\xa0 ") for cell in line.split("\t")] for line in lines]
    rates = {row[1].rpartition(".")[0]: row[2] for row in columns if len(row) > 2}
    clips = [clip.path.stem for clip in load_corpus(f"EMO-DB={root}")]
    if unknown := [clip for clip in clips if clip not in rates]:
        raise CorpusError(f"{root / 'erkennung.txt'} lacks {', '.join(unknown[:3])}; restore it")
    return [float(rates[clip].replace(",", ".")) / 100 for clip in clips]


def crema_d_shares(root: Path) -> list[float]:
    """Return for each clip 1 where most listeners to the voice alone named the intended emotion.

    Where several emotions had as many votes, the clip counts 1 / that number if the intended one is
    among them.
    """
    shares = []
    for row in csv.DictReader(_text(root, "summaryTable.csv", "utf-8").splitlines()):
        intended = row["FileName"].split("_")[2][0]
        winners = row["VoiceVote"].split(":")
        shares.append((intended in winners) / len(winners))
    return shares


def _text(root: Path, name: str, encoding: str) -> str:
    for place in (root, root / "meta"):
        if (place / name).is_file():
            return (place / name).read_text(encoding=encoding)
    raise CorpusError(f"{root} holds no {name}; it comes with the corpus, fetch it")


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


if __name__ == "__main__":
    sys.exit(main())
