"""`edge-ser prior`: estimate the argument of `--prior` from unlabelled recordings of a site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import json_flag, model_option, threads_option
from edge_ser.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from edge_ser.recognition.prior import PriorEstimate
    from edge_ser.recognition.recognizer import Recognizer


@click.command(name="prior")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_option("ONNX file of `edge-ser export`, or an engine.  [default: the bundled model]")
@json_flag("Print the estimate as JSON.")
@threads_option
def command(paths: tuple[Path, ...], model: Path | None, as_json: bool, threads: int) -> None:
    """Estimate the shares of the emotions in PATHS: unlabelled recordings, or directories of them.

    \b
      edge-ser prior recordings/
      edge-ser run --mic --prior "$(edge-ser prior recordings/)"

    The model's probabilities assume that all emotions are equally frequent, as in its training. The
    shares are estimated by expectation maximisation (Saerens, Latinne and Decaestecker 2002). The
    ratios are printed to stdout in the format of `--prior`, everything else to stderr. The estimate
    inherits the model's errors; measure with labelled clips if possible.
    """
    from edge_ser.recognition.prior import estimate_prior
    from edge_ser.recognition.recognizer import Recognizer

    recognizer = Recognizer(model, threads=threads)
    labels = recognizer.card.labels
    probs = [[clip[label] for label in labels] for clip in _clips(recognizer, paths)]
    if not probs:
        raise ConfigError(
            f"expected recordings of speech, got none in {', '.join(map(str, paths))}; "
            "for example: edge-ser prior recordings/"
        )
    estimate = estimate_prior(probs, labels)
    click.echo(_json(estimate) if as_json else estimate.text)
    if not as_json:
        shares = ", ".join(f"{label} {share:.1%}" for label, share in estimate.shares.items())
        click.echo(f"{estimate.n_clips} clips with speech; shares: {shares}", err=True)
    for caveat in estimate.caveats:
        click.echo(f"caution: {caveat}", err=True)


def _clips(recognizer: Recognizer, paths: tuple[Path, ...]) -> Iterator[dict[str, float]]:
    """Yield the probabilities of each clip with speech; print the files that cannot be read."""
    from edge_ser.audio.io import find_audio

    for path in (file for named in paths for file in find_audio(named)):
        try:
            final = recognizer.recognize(path).final
        except AudioError as error:
            click.echo(f"edge-ser: {error}", err=True)
            continue
        if final.probs:
            yield dict(final.probs)


def _json(estimate: PriorEstimate) -> str:
    return json.dumps(
        {
            "n_clips": estimate.n_clips,
            "shares": {label: round(share, 4) for label, share in estimate.shares.items()},
            "ratios": dict(estimate.ratios),
            "prior": estimate.text,
            "caveats": list(estimate.caveats),
        }
    )
