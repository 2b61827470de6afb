"""`edge-ser evaluate`: a model and labelled speech in; figures with their uncertainty out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.options import threads_option
from edge_ser.errors import ConfigError, EdgeSerError

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.card import ModelCard
    from edge_ser.corpora import Clip
    from edge_ser.measure.evaluation import Evaluation
    from edge_ser.measure.noise import NoiseSource
    from edge_ser.measure.selection import Selection
    from edge_ser.runtime.recognizer import Recognizer


@click.command(name="evaluate")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    required=True,
    metavar="NAME=DIR",
    help="Labelled speech, named as for `train`. Repeat for several.",
)
@click.option(
    "--speakers",
    metavar="A,B,...",
    help="Only these speakers (1,11 or RAVDESS/1,EMO-DB/03).",
)
@click.option("--protocol", help="Only the test clips of a fold of this protocol, e.g. emobox.")
@click.option("--folds", help="How --protocol divides, where it leaves that open; as for `train`.")
@click.option("--fold", help="Number or name of the fold of --protocol.")
@click.option(
    "--include-trained",
    is_flag=True,
    help="Also speakers that the model was trained on; every figure then says so.",
)
@click.option(
    "--snr",
    "snr_db",
    type=click.FloatRange(-30, 100),
    multiple=True,
    metavar="DB",
    help="Measure again with noise at this signal-to-noise ratio. Repeat for a curve.",
)
@click.option(
    "--noise",
    metavar="white|pink|FILE",
    help="What --snr adds; a recording is repeated as long as need be.  [default: pink]",
)
@click.option(
    "--prior",
    metavar="LABEL=RATIO,...",
    help="How many times as often as in training each emotion occurs, as for `run`.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all as JSON.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path), help="Write a page with pictures."
)
@click.option(
    "--card", "card_file", type=click.Path(path_type=Path), help="Write a model card, Markdown."
)
@click.option(
    "--min-uar", type=click.FloatRange(0, 100), help="Exit with 1 when UAR is below, in percent."
)
@click.option(
    "--bootstrap",
    "n_draws",
    type=click.IntRange(100, 100_000),
    default=2000,
    show_default=True,
    help="Draws of speakers for the 95% intervals.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For all drawn.")
@threads_option
def command(
    model: Path | None,
    corpora: tuple[str, ...],
    speakers: str | None,
    protocol: str | None,
    folds: str | None,
    fold: str | None,
    include_trained: bool,
    snr_db: tuple[float, ...],
    noise: str | None,
    prior: str | None,
    json_file: Path | None,
    html_file: Path | None,
    card_file: Path | None,
    min_uar: float | None,
    n_draws: int,
    seed: int,
    threads: int,
) -> None:
    """Measure MODEL (default: the bundled one) on labelled speech, as `run --wav` hears it.

    \b
      edge-ser evaluate --corpus RAVDESS=DIR --snr 20 --snr 10 --html report.html
      edge-ser evaluate model.onnx --corpus folder:site=recordings --min-uar 60

    Clips of speakers that the model was trained on are left out, as are emotions that are not
    among its labels. Intervals are of 95%, by bootstrap over speakers: how much the figures could
    differ with other speakers.
    """
    if speakers and protocol:
        raise click.UsageError("--speakers and --protocol came; choose one of them")
    if (fold or folds) and not protocol:
        raise click.UsageError("--fold and --folds belong to --protocol, which did not come")
    if noise and not snr_db:
        raise click.UsageError("--noise came without --snr; add for example --snr 10")

    from rich.console import Console

    from edge_ser.cli.evaluation_tables import print_evaluation
    from edge_ser.corpora import load_corpora
    from edge_ser.measure.noise import open_noise
    from edge_ser.runtime.prior import parse_prior
    from edge_ser.runtime.recognizer import Recognizer
    from edge_ser.runtime.runner import bundled_model, open_runner

    model = model or bundled_model()
    runner = open_runner(model, threads)
    card = runner.card
    recognizer = Recognizer(runner, prior=parse_prior(prior, card.labels) if prior else None)
    clips = load_corpora(corpora)
    chosen = _chosen(clips, card, speakers, protocol, folds or "", fold or "")
    selection = _select(clips, card, chosen, include_trained)
    source = open_noise(noise or "pink", card.frontend.sample_rate, seed) if snr_db else None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    evaluation = _measure(console, recognizer, selection, model, source, snr_db, n_draws, seed)
    # Before anything is printed: a reader that leaves (`| head`) must not cost the record.
    written = _write(evaluation, card, json_file, html_file, card_file)
    print_evaluation(Console(highlight=False), evaluation)
    for path in written:
        console.print(f"written: {path}", markup=False)
    uar = evaluation.overall.uar.value
    if min_uar is not None and 100 * uar < min_uar:
        raise _BelowMinimum(f"UAR is {100 * uar:.1f}%, --min-uar asked for {min_uar:g}%")


def _chosen(
    clips: tuple[Clip, ...],
    card: ModelCard,
    speakers: str | None,
    protocol: str | None,
    folds: str,
    fold: str,
) -> tuple[str, tuple[Clip, ...]]:
    """Return what the clips are chosen by, in words, and those that are."""
    from edge_ser.protocols.choice import NONE, named_speakers
    from edge_ser.protocols.paper import PAPER
    from edge_ser.protocols.registry import SplitOptions, choose_fold, make_folds

    if speakers:
        names = named_speakers(clips, speakers, "test")
        return "speakers named", tuple(clip for clip in clips if clip.speaker in names)
    if not protocol:
        return "all speakers", clips
    if protocol == PAPER:
        raise ConfigError(
            "the test rows of --protocol paper are augmented copies that only a training makes; "
            "here, take a protocol that tests recordings"
        )
    options = SplitOptions(protocol, folds=folds, validation_speakers=NONE)
    # The seed of the training, so that what it drew is drawn again.
    known = [clip for clip in clips if clip.emotion in card.labels]
    made = choose_fold(make_folds(known, options, card.seed), fold)
    return f"{made.protocol}, fold {made.name}", made.test


def _select(
    clips: tuple[Clip, ...],
    card: ModelCard,
    chosen: tuple[str, tuple[Clip, ...]],
    include_trained: bool,
) -> Selection:
    from edge_ser.measure.selection import select

    choice, wanted = chosen
    return select(clips, card, chosen=wanted, choice=choice, include_trained=include_trained)


def _measure(
    console: Console,
    recognizer: Recognizer,
    selection: Selection,
    path: Path,
    noise: NoiseSource | None,
    snr_db: tuple[float, ...],
    n_draws: int,
    seed: int,
) -> Evaluation:
    from rich.progress import Progress

    from edge_ser.measure.evaluate import evaluate

    shown = console.is_terminal
    with Progress(console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("listening", total=len(selection.clips))
        return evaluate(
            recognizer,
            selection,
            model_file=path,
            noise=noise,
            snr_db=snr_db,
            n_draws=n_draws,
            seed=seed,
            progress=lambda: progress.advance(task),
        )


def _write(
    evaluation: Evaluation,
    card: ModelCard,
    json_file: Path | None,
    html_file: Path | None,
    card_file: Path | None,
) -> list[Path]:
    from edge_ser.files import write_text
    from edge_ser.measure.model_card import model_card_markdown
    from edge_ser.measure.page import page

    if json_file:
        evaluation.save(json_file)
    if html_file:
        write_text(html_file, page(evaluation))
    if card_file:
        write_text(card_file, model_card_markdown(card, [evaluation]))
    return [path for path in (json_file, html_file, card_file) if path]


class _BelowMinimum(EdgeSerError):
    """The figures were measured, and are not what was asked for."""
