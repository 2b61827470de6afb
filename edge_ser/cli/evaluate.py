"""`edge-ser evaluate`: measure a model on labelled speech, with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli._shared.options import (
    baseline_option,
    corpus_option,
    folds_option,
    html_option,
    include_trained_option,
    json_file_option,
    model_argument,
    prior_option,
    seed_option,
    speakers_option,
    threads_option,
)
from edge_ser.cli._shared.progress import counting_bar
from edge_ser.errors import ConfigError, EdgeSerError

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.card import ModelCard
    from edge_ser.corpora import Clip
    from edge_ser.evaluation.report import Evaluation
    from edge_ser.evaluation.results import RunResult
    from edge_ser.evaluation.selection import Selection
    from edge_ser.recognition.recognizer import Recognizer


@click.command(name="evaluate")
@model_argument()
@corpus_option(
    "Speech, named as for `train`; neutral:NAME=DIR and unlabelled:NAME=DIR give the "
    "distribution of the predictions. Repeat for several."
)
@click.option(
    "--noise-only",
    "noise_folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Files without speech; counts those that get a label. Repeat for several.",
)
@click.option(
    "--vad",
    is_flag=True,
    help="Pass each clip through the voice detector, as `run` does for live sources.",
)
@speakers_option("Only these speakers of labelled corpora (1,11 or RAVDESS/1,EMO-DB/*).")
@click.option("--protocol", help="Only the test clips of a fold of this protocol, e.g. emobox.")
@folds_option("Folds of --protocol, if it allows a choice; as for `train`.", metavar=None)
@click.option("--fold", help="Number or name of the fold of --protocol.")
@include_trained_option(
    "Also use speakers that the model was trained on; every figure is then marked."
)
@click.option(
    "--snr",
    "snr_db",
    type=click.FloatRange(-30, 100),
    multiple=True,
    metavar="DB",
    help="Measure again with noise added at this signal-to-noise ratio. Repeat for a curve.",
)
@click.option(
    "--noise",
    metavar="white|pink|FILE",
    help="Noise for --snr; a short recording is repeated.  [default: pink]",
)
@prior_option("Ratio of each emotion's frequency to that in training, as for `run`.")
@baseline_option(
    "Baseline: a file of `edge-ser enroll` for all clips, or running: for each speaker, the mean over "
    "the speaker's earlier clips.  [default: none]"
)
@json_file_option("Write the evaluation as JSON.")
@html_option
@click.option(
    "--card", "card_file", type=click.Path(path_type=Path), help="Write a model card in Markdown."
)
@click.option(
    "--recipe-results",
    "recipe_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Record of a cross-corpus `cross-validate` run of the same recipe, for --card.",
)
@click.option(
    "--min-uar",
    type=click.FloatRange(0, 100),
    help="Exit with code 1 if a UAR is lower, in percent.",
)
@click.option(
    "--min-neutral",
    type=click.FloatRange(0, 100),
    help="Exit with code 1 if less of a neutral corpus is neutral or abstained, in percent.",
)
@click.option(
    "--max-false",
    type=click.FloatRange(0, 100),
    help="Exit with code 1 if more of a neutral corpus gets another label, in percent.",
)
@click.option(
    "--max-noise-labels",
    type=click.FloatRange(0, 100),
    help="Exit with code 1 if more files of --noise-only get a label, in percent.",
)
@click.option(
    "--bootstrap",
    "n_draws",
    type=click.IntRange(100, 100_000),
    default=2000,
    show_default=True,
    help="Bootstrap samples for the 95% intervals.",
)
@seed_option("Random seed.")
@threads_option
def command(
    model: Path | None,
    corpora: tuple[str, ...],
    noise_folders: tuple[Path, ...],
    vad: bool,
    speakers: str | None,
    protocol: str | None,
    folds: str | None,
    fold: str | None,
    include_trained: bool,
    snr_db: tuple[float, ...],
    noise: str | None,
    prior: str | None,
    baseline: str | None,
    json_file: Path | None,
    html_file: Path | None,
    card_file: Path | None,
    recipe_files: tuple[Path, ...],
    min_uar: float | None,
    min_neutral: float | None,
    max_false: float | None,
    max_noise_labels: float | None,
    n_draws: int,
    seed: int,
    threads: int,
) -> None:
    """Measure MODEL (default: the bundled one): accuracy, and its predictions on unlabelled speech.

    \b
      edge-ser evaluate --corpus RAVDESS=DIR --snr 20 --snr 10 --html report.html
      edge-ser evaluate model.onnx --corpus folder:site=recordings --min-uar 60
      edge-ser evaluate --vad --corpus neutral:site=DIR --min-neutral 92

    Corpora that are not in the training data and new speakers of the training corpora are reported
    in separate blocks. Clips of speakers that the model was trained on are left out, as are emotions
    that are not among its labels. A clip is recognised as one recording, or with --vad as a live
    source. The 95% intervals are by bootstrap over speakers.
    """
    if not (corpora or noise_folders):
        raise click.UsageError("expected --corpus NAME=DIR or --noise-only DIR, got neither")
    if speakers and protocol:
        raise click.UsageError("expected --speakers or --protocol, got both; remove one")
    if (fold or folds) and not protocol:
        raise click.UsageError("--fold and --folds require --protocol; add --protocol NAME")
    if noise and not snr_db:
        raise click.UsageError("--noise requires --snr; add for example --snr 10")
    if recipe_files and not card_file:
        raise click.UsageError("--recipe-results requires --card; add --card FILE")

    from rich.console import Console

    from edge_ser.cli.tables.evaluation import print_evaluation
    from edge_ser.evaluation.noise import open_noise
    from edge_ser.evaluation.report import Gates
    from edge_ser.inference.loader import bundled_model, open_runner
    from edge_ser.recognition.prior import parse_prior
    from edge_ser.recognition.recognizer import Recognizer
    from edge_ser.reports.recipe_results import load_recipe
    from edge_ser.vad.detectors import open_detector

    recipes = [load_recipe(path) for path in recipe_files]
    gates = Gates(min_uar, min_neutral, max_false, max_noise_labels)
    model = model or bundled_model()
    runner = open_runner(model, threads)
    card = runner.card
    ratios = parse_prior(prior, card.labels) if prior else None
    recognizer = Recognizer(runner, baseline=baseline, prior=ratios)
    chosen = (speakers, protocol, folds or "", fold or "")
    selection = _select(corpora, noise_folders, card, chosen, include_trained)
    gates.check_data(selection.clips, selection.plain)
    source = open_noise(noise or "pink", card.frontend.sample_rate, seed) if snr_db else None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    detector = open_detector() if vad else None
    options = {
        "model_file": model,
        "detector": detector,
        "noise": source,
        "snr_db": snr_db,
        "n_draws": n_draws,
        "seed": seed,
    }
    evaluation = _measure(console, recognizer, selection, options)
    # Records are written before anything is printed: a closed pipe (`| head`) ends the printing.
    written = _write(evaluation, card, json_file, html_file, card_file, recipes)
    print_evaluation(Console(highlight=False), evaluation)
    for path in written:
        console.print(f"written: {path}", markup=False)
    if failures := gates.failures(evaluation):
        raise _OutOfBounds("; ".join(failures))


def _chosen(
    clips: tuple[Clip, ...],
    card: ModelCard,
    speakers: str | None,
    protocol: str | None,
    folds: str,
    fold: str,
) -> tuple[str, tuple[Clip, ...]]:
    """Return a description of the choice and the chosen clips."""
    from edge_ser.splits.choice import NONE, named_speakers
    from edge_ser.splits.other import PAPER
    from edge_ser.splits.registry import SplitConfig, choose_fold, make_folds

    if speakers:
        names = named_speakers(clips, speakers, "test")
        return "speakers named", tuple(clip for clip in clips if clip.speaker in names)
    if not protocol:
        return "all speakers", clips
    if protocol == PAPER:
        raise ConfigError(
            "--protocol paper tests augmented copies, which exist during training only; expected a "
            "protocol that tests recordings"
        )
    options = SplitConfig(protocol, folds=folds, validation_speakers=NONE)
    # The seed of the training, so that the same folds are drawn.
    known = [clip for clip in clips if clip.emotion in card.labels]
    made = choose_fold(make_folds(known, options, card.seed), fold)
    return f"{made.protocol}, fold {made.name}", made.test


def _select(
    corpora: tuple[str, ...],
    noise_folders: tuple[Path, ...],
    card: ModelCard,
    chosen: tuple[str | None, str | None, str, str],
    include_trained: bool,
) -> Selection:
    from edge_ser.corpora import load_corpora
    from edge_ser.evaluation.selection import noise_clips, plain_corpora, select_all

    clips = load_corpora(corpora) if corpora else ()
    noise = noise_clips(noise_folders)
    if duplicates := {clip.corpus for clip in clips} & {clip.corpus for clip in noise}:
        raise ConfigError(
            f"--corpus and --noise-only have the same name, {min(duplicates)}; rename the folder"
        )
    plain = plain_corpora(clips)
    labelled = tuple(clip for clip in clips if clip.corpus not in plain)
    choice, test_clips = _chosen(labelled, card, *chosen)
    return select_all(
        (*clips, *noise), card, chosen=test_clips, choice=choice, include_trained=include_trained
    )


def _measure(
    console: Console, recognizer: Recognizer, selection: Selection, options: dict[str, Any]
) -> Evaluation:
    from edge_ser.evaluation.evaluate import evaluate

    n_clips = len(selection.clips) + len(selection.plain)
    with counting_bar(console, "measuring", n_clips) as step:
        return evaluate(recognizer, selection, progress=step, **options)


def _write(
    evaluation: Evaluation,
    card: ModelCard,
    json_file: Path | None,
    html_file: Path | None,
    card_file: Path | None,
    recipes: list[RunResult],
) -> list[Path]:
    from edge_ser._util.files import write_text
    from edge_ser.reports.evaluation_page import page
    from edge_ser.reports.model_card import model_card_markdown

    if json_file:
        evaluation.save(json_file)
    if html_file:
        write_text(html_file, page(evaluation))
    if card_file:
        write_text(card_file, model_card_markdown(card, [evaluation], recipes))
    return [path for path in (json_file, html_file, card_file) if path]


class _OutOfBounds(EdgeSerError):
    """Figures outside the bounds that were given."""
