"""`edge-ser adapt`: fit the last layer of a model to labelled recordings of a site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    corpus_option,
    json_output_option,
    out_option,
    seed_option,
    threads_option,
)
from edge_ser.cli._shared.progress import progress_bars
from edge_ser.errors import missing_extra

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.adapt.adaptation import AdaptConfig
    from edge_ser.adapt.head import AdaptableModel
    from edge_ser.adapt.site import SiteModel
    from edge_ser.corpora import Clip


@click.command(name="adapt")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@corpus_option(
    "Labelled recordings of the site: folder:site=DIR, or csv:site=FILE of `edge-ser label`."
)
@out_option("The ONNX file to write.", required=False)
@click.option(
    "--balanced",
    is_flag=True,
    help="Weight all classes equally.  [default: the shares of the clips are taken as the site's prior]",
)
@click.option(
    "--known-speakers",
    is_flag=True,
    help="The speakers of the recordings are the users of the device: hold out clips, not speakers.",
)
@click.option("--undo", is_flag=True, help="Write the model as it was before the adaptation.")
@click.option("--dry-run", is_flag=True, help="Print the figures and write no model.")
@json_output_option("Write the figures as JSON; - for stdout.")
@seed_option("Random seed of the folds.")
@threads_option
def command(
    model: Path | None,
    corpora: tuple[str, ...],
    out: Path | None,
    balanced: bool,
    known_speakers: bool,
    undo: bool,
    dry_run: bool,
    json_file: str | None,
    seed: int,
    threads: int,
) -> None:
    """Fit the last layer of MODEL (default: the bundled one) to labelled recordings of a site.

    \b
      edge-ser adapt --corpus folder:site=DIR --out site.onnx
      edge-ser adapt model.onnx --corpus csv:site=site.csv --dry-run
      edge-ser adapt site.onnx --undo --out model.onnx

    Some minutes of labelled speech are enough, and no torch is needed. The last layer, temperature
    and abstain threshold are fitted; the file is written only if, on clips that were held out, the
    log loss falls and UAR does not. Adapt the FP32 file, then quantise or build an engine again.
    """
    _check_usage(corpora, out, undo, dry_run, balanced or known_speakers or json_file is not None)
    # The matrix products are small, so BLAS threads would mostly wait for each other. BLAS reads these
    # variables when NumPy is imported, which is below.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    try:
        __import__("onnx")
    except ImportError:
        raise missing_extra("onnx", "build") from None

    from rich.console import Console

    from edge_ser.adapt.adaptation import AdaptConfig
    from edge_ser.adapt.head import open_adaptable
    from edge_ser.adapt.site import require_out
    from edge_ser.corpora import load_corpora
    from edge_ser.inference.loader import bundled_model

    messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    path = model or bundled_model()
    if undo and out:
        _undo(messages, path, out)
        return
    if out:
        require_out(path, out)
    source = open_adaptable(path)
    if source.was_adapted:
        messages.print(
            f"{path} is already adapted: the fit starts from the model before the adaptation"
        )
    config = AdaptConfig(balanced, known_speakers, seed)
    adapted = _adapt(messages, source, load_corpora(corpora), config, threads)
    _print(adapted, json_file)
    if json_file not in {None, "-"}:
        messages.print(f"written: {json_file}")
    if dry_run or out is None:
        return
    adapted.save(out)
    messages.print(f"written: {out}")


def _check_usage(
    corpora: tuple[str, ...], out: Path | None, undo: bool, dry_run: bool, fit_options: bool
) -> None:
    if undo and (corpora or dry_run or fit_options):
        raise click.UsageError("--undo takes only MODEL and --out; leave the other options out")
    if not undo and not corpora:
        raise click.UsageError("expected --corpus, e.g. --corpus folder:site=DIR, or --undo")
    if out is None and not dry_run:
        raise click.UsageError("expected --out FILE.onnx, or --dry-run")


def _undo(messages: Console, path: Path, out: Path) -> None:
    from edge_ser.adapt.site import undo

    identical = undo(path, out)
    content = (
        "identical to the file before" if identical else "with the former head, card and threshold"
    )
    messages.print(f"written: {out}, {content}")


def _adapt(
    messages: Console,
    source: AdaptableModel,
    clips: tuple[Clip, ...],
    config: AdaptConfig,
    threads: int,
) -> SiteModel:
    from edge_ser.adapt.adaptation import n_steps
    from edge_ser.adapt.site import adapt_site

    with progress_bars(messages) as progress:
        reading = progress.add_task("recognising", total=len(clips))
        fitting = progress.add_task("fitting", total=n_steps(len(clips)))
        return adapt_site(
            source,
            clips,
            config,
            threads=threads,
            on_clip=lambda: progress.advance(reading),
            on_fit=lambda: progress.advance(fitting),
        )


def _print(adapted: SiteModel, json_file: str | None) -> None:
    from rich.console import Console

    from edge_ser._util.files import write_text
    from edge_ser.adapt.site import record_json
    from edge_ser.cli.tables.adapt import print_adaptation

    # With `--json -`, stdout holds JSON only; the tables go to stderr.
    to_stdout = json_file == "-"
    print_adaptation(Console(stderr=to_stdout, highlight=False), adapted)
    if to_stdout:
        click.echo(record_json(adapted), nl=False)
    elif json_file:
        write_text(Path(json_file), record_json(adapted))
