"""`edge-ser compare`: compare several model files on the same audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    DefaultOf,
    ModelFile,
    corpus_option,
    include_trained_option,
    json_file_option,
    min_agreement_option,
    speakers_option,
    threads_option,
)
from edge_ser.cli._shared.progress import counting_bar
from edge_ser.errors import EdgeSerError

if TYPE_CHECKING:
    from edge_ser.evaluation.compare import LoadedModel
    from edge_ser.evaluation.comparison import Comparison
    from edge_ser.evaluation.selection import Selection


@click.command(name="compare")
@click.argument("models", nargs=-1, required=True, type=ModelFile())
@corpus_option("Labelled speech, named as for `train`; adds WA and UAR. Repeat for several.")
@speakers_option("Only these speakers of --corpus (1,11 or RAVDESS/1,EMO-DB/03).")
@include_trained_option("Also use speakers that one of the models was trained on.")
@click.option(
    "--wav",
    "recordings",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Recording without labels, or a directory of recordings. Repeat for several.",
)
@click.option(
    "--max-difference",
    type=click.FloatRange(0),
    metavar="LOGITS",
    help="Exit with code 1 if a logit differs by more.",
)
@min_agreement_option(
    "Exit with code 1 if labels agree on fewer windows, or on fewer clips.", metavar="PERCENT"
)
@click.option(
    "--layer-windows",
    type=click.IntRange(0),
    default=DefaultOf("edge_ser.evaluation.compare:LAYER_WINDOWS"),
    show_default=True,
    help="Number of windows on which layers are compared; 0 for none.",
)
@click.option(
    "--layer-error",
    type=click.FloatRange(0),
    default=DefaultOf("edge_ser.evaluation.comparison:DIVERGES"),
    show_default=True,
    help="Relative error (root mean square) above which a layer diverges.",
)
@json_file_option("Write the comparison as JSON.")
@threads_option
def command(
    models: tuple[Path, ...],
    corpora: tuple[str, ...],
    speakers: str | None,
    include_trained: bool,
    recordings: tuple[Path, ...],
    max_difference: float | None,
    min_agreement: float | None,
    layer_windows: int,
    layer_error: float,
    json_file: Path | None,
    threads: int,
) -> None:
    """Run all MODELS on the same audio and report how the others differ from the first.

    \b
      edge-ser compare model.onnx model.int8.onnx --corpus RAVDESS=DIR
      edge-ser compare a.onnx b.onnx c.onnx --wav recordings --json c.json
      edge-ser compare a.onnx b.onnx --wav examples --max-difference 0.01

    For two ONNX files of one origin, the first layer that diverges is named (`build` extra). Speakers
    that one of the models was trained on are left out, as are emotions that one of them lacks.
    """
    if bool(corpora) == bool(recordings):
        raise click.UsageError(
            f"expected one of --corpus and --wav, got {'both' if corpora else 'neither'}"
        )
    if not corpora and (speakers or include_trained):
        raise click.UsageError("--speakers and --include-trained require --corpus NAME=DIR; add it")

    from rich.console import Console

    from edge_ser.cli.tables.compare import print_comparison
    from edge_ser.evaluation.compare import compare, open_models, unlabelled

    loaded = open_models(models, threads)
    selection = (
        _labelled(loaded, corpora, speakers, include_trained) if corpora else unlabelled(recordings)
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with counting_bar(console, "recognising", len(selection.clips)) as step:
        comparison = compare(
            loaded,
            selection,
            layer_windows=layer_windows,
            layer_error=layer_error,
            threads=threads,
            progress=step,
        )
    # The record is written before anything is printed: a closed pipe (`| head`) ends the printing.
    if json_file:
        comparison.save(json_file)
    print_comparison(Console(highlight=False), comparison)
    if json_file:
        console.print(f"written: {json_file}", markup=False)
    _check(comparison, max_difference, min_agreement)


def _labelled(
    loaded: tuple[LoadedModel, ...],
    corpora: tuple[str, ...],
    speakers: str | None,
    include_trained: bool,
) -> Selection:
    from edge_ser.corpora import load_corpora
    from edge_ser.evaluation.compare import joint_card
    from edge_ser.evaluation.selection import select
    from edge_ser.splits.choice import named_speakers

    clips = load_corpora(corpora)
    chosen, choice = clips, "all speakers"
    if speakers:
        names = named_speakers(clips, speakers, "test")
        chosen, choice = tuple(c for c in clips if c.speaker in names), "speakers named"
    card = joint_card(loaded)
    return select(clips, card, chosen=chosen, choice=choice, include_trained=include_trained)


def _check(
    comparison: Comparison, max_difference: float | None, min_agreement: float | None
) -> None:
    """Raise _Differs if a model differs too much from the first, or if that is unknown."""
    for difference in comparison.differences:
        file = comparison.models[difference.model].file
        if max_difference is not None:
            if difference.logits is None:
                reason = difference.refused.get("logits", "all windows are silent")
                raise _Differs(f"{file}: --max-difference cannot be checked, {reason}")
            if difference.logits.max > max_difference:
                raise _Differs(
                    f"{file}: a logit differs by {difference.logits.max:.3g}, "
                    f"--max-difference allows {max_difference:g}"
                )
        if min_agreement is not None:
            for of, agreement in (("windows", difference.windows), ("clips", difference.clips)):
                if agreement is not None and 100 * agreement.share < min_agreement:
                    raise _Differs(
                        f"{file}: the label is the same for {agreement.share:.2%} of "
                        f"{agreement.n} {of}, --min-agreement expects {min_agreement:g}%"
                    )


class _Differs(EdgeSerError):
    """Difference between the models above a limit that was given."""
