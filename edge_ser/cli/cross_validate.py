"""`edge-ser cross-validate`: train and test several systems on the same folds."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.cache import default_cache
from edge_ser.cli._shared.options import (
    DefaultOf,
    cache_option,
    config_option,
    corpus_option,
    folds_option,
    labels_option,
    microphones_option,
    noise_option,
    resume_option,
    train_threads_option,
    validation_speakers_option,
)
from edge_ser.cli._shared.progress import progress_bars
from edge_ser.cli._shared.tables import plain_table
from edge_ser.errors import ConfigError, TrainingError
from edge_ser.splits.other import CROSS_CORPUS

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.corpora import Clip
    from edge_ser.evaluation.results import RunResult
    from edge_ser.training.augmentation.sounds import Sounds
    from edge_ser.training.cross_validation.crossval import Comparison
    from edge_ser.training.cross_validation.systems import System


@click.command(name="cross-validate")
@corpus_option(
    "Corpus, as for `edge-ser train`. Repeat for several, which are joined.", required=True
)
@click.option(
    "--system",
    "names",
    multiple=True,
    required=True,
    metavar="NAME",
    help="majority, svm-egemaps, svm-compare, paper or compact. Repeat for several.",
)
@click.option(
    "--protocol",
    default=DefaultOf("edge_ser.splits:SplitConfig.protocol"),
    show_default=True,
    metavar="NAME",
    help="speaker-independent, emobox, clip-grouped, paper or cross-corpus.",
)
@folds_option(
    "leave-one-speaker-out, or a number of folds.  [default: the protocol's]",
    default=DefaultOf("edge_ser.splits:SplitConfig.folds"),
)
@click.option(
    "--fold",
    "chosen",
    multiple=True,
    metavar="FOLD",
    help="Only this fold, by its name or the end of it. Repeat for several.  [default: all]",
)
@validation_speakers_option(
    "Speakers on which the epoch is selected, drawn, or none.  [default: the protocol's]",
    default=DefaultOf("edge_ser.splits:SplitConfig.validation_speakers"),
)
@labels_option(
    "Emotions to learn, or all; with cross-corpus a corpus may lack some.  "
    "[default: those that every corpus has]"
)
@click.option(
    "--gate",
    "gate_specs",
    multiple=True,
    metavar="neutral:NAME=DIR",
    help="Neutral speech that is never trained on. The record holds the answers to it of each fold of "
    "the system compact. Repeat for several.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Random seed of the speakers that are drawn."
)
@config_option('JSON file with settings by system, as {"compact": {"epochs": 80}}.')
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Output folder, one JSON file for each system.",
)
@cache_option(
    "Cache of functionals, features and results of single folds.  [default: ~/.cache/edge-ser]"
)
@resume_option("Use the folds that an interrupted run has completed.")
@train_threads_option("CPU threads of the networks.")
@noise_option
@microphones_option
def command(
    corpora: tuple[str, ...],
    names: tuple[str, ...],
    protocol: str,
    folds: str,
    chosen: tuple[str, ...],
    validation_speakers: str,
    labels: str | None,
    gate_specs: tuple[str, ...],
    seed: int,
    config_file: Path | None,
    results: Path,
    cache: Path | None,
    resume: bool,
    threads: int | None,
    noise: tuple[Path, ...],
    microphones: tuple[Path, ...],
) -> None:
    """Train and test several systems on the same folds and write a record of each.

    \b
      edge-ser cross-validate --corpus RAVDESS=DIR --protocol emobox \\
        --system majority --system svm-compare --system compact
      edge-ser cross-validate --corpus EMO-DB=DIR --folds leave-one-speaker-out \\
        --system svm-egemaps

    The SVMs need the `baselines` extra, the networks `train`.
    """
    from rich.console import Console

    from edge_ser.splits.registry import SplitConfig
    from edge_ser.training.cross_validation.crossval import compare, cross_validate

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    cache = cache or default_cache()
    options = SplitConfig(protocol, folds, validation_speakers=validation_speakers)
    comparison = compare(corpora, options, chosen, seed, labels)
    _show(console, comparison)
    checkpoints = cache / "checkpoints" / comparison.digest[:16]
    if not resume:
        shutil.rmtree(checkpoints, ignore_errors=True)
    sounds = _sounds(names, noise, microphones)
    gates = _gates(gate_specs, comparison)
    systems = _systems(names, config_file, cache, checkpoints, sounds, gates)
    _limit_threads(threads)
    records = []
    for name, system in systems.items():
        line = _command_line(comparison, corpora, gate_specs, chosen, name, config_file, sounds)
        try:
            with _Bars(console, system.name, len(comparison.folds)) as bars:
                record = cross_validate(
                    system, comparison, line, cache / "folds", resume, bars.update
                )
        except KeyboardInterrupt:
            raise TrainingError(
                f"stopped in {system.name}; completed folds are stored; continue with the same "
                "command and --resume"
            ) from None
        console.print(f"{system.name}: written to {record.save(results)}")
        records.append(record)
    _table(records)


class _Bars:
    """Progress over folds and within one."""

    def __init__(self, console: Console, system: str, n_folds: int) -> None:
        self._progress = progress_bars(console)
        self._all = self._progress.add_task(system, total=n_folds)
        self._one = self._progress.add_task("", total=1.0)
        self._seen: list[str] = []

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, fold: str, doing: str, share: float) -> None:
        if fold not in self._seen:
            self._seen.append(fold)
        self._progress.update(self._all, completed=len(self._seen) - 1)
        self._progress.update(self._one, description=f"{fold}: {doing}", completed=share)


def _gates(specs: tuple[str, ...], comparison: Comparison) -> dict[str, tuple[Clip, ...]]:
    from edge_ser._util.hashing import content_digest
    from edge_ser.corpora import is_background, load_corpus

    known = {content_digest(clip.path) for clip in comparison.clips}
    gates = {}
    for spec in specs:
        clips = load_corpus(spec)
        if not all(map(is_background, clips)):
            raise ConfigError(
                f"--gate {spec}: expected neutral:NAME=DIR, got another kind of corpus"
            )
        if any(content_digest(clip.path) in known for clip in clips):
            raise ConfigError(
                f"--gate {spec} holds clips that are trained on; use two halves: "
                "--corpus neutral:NAME=DIR#train --gate neutral:NAME=DIR#held"
            )
        gates[clips[0].corpus] = clips
    return gates


def _sounds(
    names: tuple[str, ...], noise: tuple[Path, ...], microphones: tuple[Path, ...]
) -> Sounds:
    from edge_ser.training.augmentation.sounds import Sounds

    if (noise or microphones) and "compact" not in names:
        raise ConfigError(
            f"--noise and --microphones are for the system compact, got {', '.join(names)}; add "
            "--system compact, or leave them out"
        )
    return Sounds.find(noise, microphones)


def _systems(
    names: tuple[str, ...],
    config_file: Path | None,
    cache: Path,
    checkpoints: Path,
    sounds: Sounds,
    gates: Mapping[str, tuple[Clip, ...]],
) -> dict[str, System]:
    from edge_ser._util.files import read_json
    from edge_ser.training.cross_validation.registry import make_system

    settings: Mapping[str, Mapping[str, object]] = {}
    if config_file is not None:
        data = read_json(config_file)
        if not isinstance(data, dict):
            raise ConfigError(f"{config_file} holds no object; expected settings by system")
        if unused := sorted(set(data).difference(names)):
            raise ConfigError(
                f"{config_file}: expected settings of {', '.join(names)}, got "
                f"{', '.join(unused)}; add --system, or remove the key"
            )
        settings = data
    return {
        name: make_system(name, settings.get(name, {}), cache, checkpoints, sounds, gates)
        for name in names
    }


def _show(console: Console, comparison: Comparison) -> None:
    from edge_ser.corpora import describe

    for corpus in describe(comparison.clips):
        console.print(f"{corpus.corpus}: {corpus.n_clips} rows, {corpus.n_speakers} speakers")
    console.print(f"{len(comparison.labels)} classes: {', '.join(comparison.labels)}")
    options = comparison.options
    console.print(
        f"protocol: {' '.join(filter(None, (options.protocol, options.folds)))}, "
        f"{len(comparison.folds)} of {comparison.n_folds} folds"
    )
    for summary in dict.fromkeys(leaks.summary for leaks in comparison.leaks):
        console.print(f"  {summary}")


def _table(records: list[RunResult]) -> None:
    from rich.console import Console

    table = plain_table("system", right=("folds", "WA", "UAR", "95% of WA", "parameters"))
    for record in records:
        low_high = " to ".join(f"{v:.1%}" for v in record.wa_interval) or "few speakers"
        table.add_row(
            record.system,
            str(len(record.folds)),
            f"{record.mean_wa:.1%}",
            f"{record.mean_uar:.1%}",
            low_high,
            f"{record.n_parameters:,}",
        )
    Console(highlight=False).print(table)


def _command_line(
    comparison: Comparison,
    corpora: tuple[str, ...],
    gates: tuple[str, ...],
    chosen: tuple[str, ...],
    system: str,
    config_file: Path | None,
    sounds: Sounds,
) -> str:
    """Return the command that reproduces the record of one system, without folder paths."""
    words = ["edge-ser", "cross-validate"]
    for corpus in corpora:
        words += ["--corpus", _without_path(corpus)]
    options = comparison.options
    words += ["--protocol", options.protocol]
    given = {
        "--folds": options.folds,
        "--validation-speakers": options.validation_speakers,
        "--labels": ",".join(comparison.labels) if options.protocol == CROSS_CORPUS else "",
        "--seed": str(comparison.seed or ""),
        "--config": config_file.name if config_file else "",
    }
    for option, value in given.items():
        words += [option, value] if value else []
    for fold in chosen:
        words += ["--fold", fold]
    if system == "compact":
        for gate in gates:
            words += ["--gate", _without_path(gate)]
        for option, folders in (("--noise", sounds.noise), ("--microphones", sounds.microphones)):
            for folder in folders:
                words += [option, Path(folder).name]
    return shlex.join([*words, "--system", system])


def _without_path(spec: str) -> str:
    """Return a corpus as `KIND:NAME=DIR#HALF`, with the folder replaced by `DIR`."""
    from edge_ser.corpora import CorpusKind, parse_spec

    parsed = parse_spec(spec)
    kind = "" if parsed.kind is CorpusKind.OFFICIAL else f"{parsed.kind.value}:"
    end = "" if parsed.half is None else f"#{parsed.half.value}"
    return f"{kind}{parsed.name.removesuffix(end)}=DIR{end}"


def _limit_threads(threads: int | None) -> None:
    """Set the number of torch threads, if a system imported torch."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) // 2))
