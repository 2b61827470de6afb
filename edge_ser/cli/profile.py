"""`edge-ser profile`: measure latency by stage, memory, CPU time and energy on this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    DefaultOf,
    ModelFile,
    baseline_option,
    detector_option,
    html_option,
    json_output_option,
    mic_option,
    microphone_option,
    runner_option,
    threads_option,
)
from edge_ser.cli._shared.progress import progress_bars
from edge_ser.errors import EdgeSerError

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.audio.sources.base import Source
    from edge_ser.profiling.models import ProfiledModel
    from edge_ser.profiling.report import Profile
    from edge_ser.profiling.session import SessionConfig
    from edge_ser.profiling.sound import Sound

_PERCENTILES = ("50", "90", "95", "99", "99.9")


@click.command(name="profile")
@click.argument("models", nargs=-1, type=ModelFile(), metavar="[MODEL]...")
@runner_option(
    "Inference backend, as for `run`. Repeat to compare several.  [default: auto]",
    "runners",
    repeatable=True,
)
@click.option(
    "--wav",
    "wavs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Audio file or directory, played in a loop.  [default: synthetic speech-like sound]",
)
@mic_option("Listen to a microphone in real time.")
@microphone_option("Microphone: its number, or part of its name.")
@click.option(
    "--arrival",
    type=click.Choice(["closed", "paced", "bursty"]),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.arrival"),
    show_default=True,
    help="closed: the next chunk as soon as the last is processed. paced: in real time. bursty: a "
    "second of audio at once, then a pause.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0.5, 604_800),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.duration_s"),
    show_default=True,
    help="Seconds of measurement for each model.",
)
@click.option(
    "--chunk",
    "chunk_ms",
    type=click.FloatRange(1, 1000),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.chunk_s", lambda s: 1000 * s),
    show_default=True,
    help="Chunk size in milliseconds.",
)
@click.option(
    "--rate",
    type=click.IntRange(8_000, 192_000),
    default=48_000,
    show_default=True,
    help="Sample rate of the synthetic sound in Hz.",
)
@detector_option(
    "Voice detector. It is run, but all windows are classified.",
    none=True,
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.detector"),
)
@click.option(
    "--gated", is_flag=True, help="Classify only while the detector reports speech, as `run` does."
)
@baseline_option("As for `run`.")
@threads_option
@click.option(
    "--cold-starts",
    type=click.IntRange(0, 100),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.n_cold_starts"),
    show_default=True,
    help="Number of cold starts to time for each model, each in a new process; 0 for none.",
)
@click.option(
    "--idle",
    "idle_s",
    type=click.FloatRange(1, 600),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.idle_s"),
    show_default=True,
    help="Seconds of idle power measurement, if power sensors are available.",
)
@click.option(
    "--budget-ms",
    type=click.FloatRange(0, min_open=True),
    help="Exit with code 1 if the end-to-end latency of a model is higher, at the percentile --p.",
)
@click.option(
    "--p",
    "percentile",
    type=click.Choice(_PERCENTILES),
    default=DefaultOf("edge_ser.profiling.session:SessionConfig.percentile", "{:g}".format),
    show_default=True,
    help="Percentile of --budget-ms and of the recommendation.",
)
@json_output_option("Write the profile as JSON; - for stdout.")
@html_option
def command(
    models: tuple[Path, ...],
    runners: tuple[str, ...],
    wavs: tuple[Path, ...],
    mic: bool,
    device: str | None,
    arrival: str,
    duration_s: float,
    chunk_ms: float,
    rate: int,
    detector: str,
    gated: bool,
    baseline: str | None,
    threads: int,
    cold_starts: int,
    idle_s: float,
    budget_ms: float | None,
    percentile: str,
    json_file: str | None,
    html_file: Path | None,
) -> None:
    """Time every stage from the last sample to the decision, alternating between the MODELs.

    \b
      edge-ser profile
      edge-ser profile m.onnx m.int8.onnx --html profile.html
      edge-ser profile m.engine --arrival paced --duration 300
      edge-ser profile m.engine --budget-ms 20 --p 99

    MODEL is an ONNX file, an engine or a bundled model's name (default: bundled). docs/profile.md
    describes how each figure is measured, and the JSON.
    """
    if mic and wavs:
        raise click.UsageError("expected --mic or --wav, got both; remove one")
    if device and not mic:
        raise click.UsageError("--device requires --mic; add --mic")
    if gated and detector == "none":
        raise click.UsageError(
            "--gated requires a detector, got --detector none; remove one of them"
        )

    from rich.console import Console

    from edge_ser.cli.tables.profile import print_profile
    from edge_ser.profiling.models import open_models
    from edge_ser.profiling.recommendation import missed
    from edge_ser.profiling.session import SessionConfig, bundled_or

    config = SessionConfig(
        arrival=arrival,
        duration_s=duration_s,
        chunk_s=chunk_ms / 1e3,
        detector=None if detector == "none" else detector,
        gated=gated,
        threads=threads,
        n_cold_starts=cold_starts,
        idle_s=idle_s,
        budget_ms=budget_ms,
        percentile=float(percentile),
        baseline=baseline,
    )
    source = _source(wavs, mic, device, rate)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    profiled = open_models(bundled_or(models), runners or ("auto",), threads)
    try:
        profile = _measure(errors, profiled, source, config)
    finally:
        for model in profiled:
            model.runner.close()
    # Records are written before anything is printed: a closed pipe (`| head`) ends the printing.
    written = _write(profile, json_file, html_file)
    if json_file == "-":
        click.echo(profile.to_json(), nl=False)
    else:
        print_profile(Console(highlight=False), profile)
    for path in written:
        errors.print(f"written: {path}", markup=False)
    if profile.budget is not None and profile.budget.over:
        raise _OverBudget(missed(profile.models, profile.budget))


def _source(wavs: tuple[Path, ...], mic: bool, device: str | None, rate: int) -> Sound | Source:
    if mic:
        from edge_ser.audio.sources import MicrophoneSource

        return MicrophoneSource(device)
    from edge_ser.profiling.sound import made_sound, recorded_sound

    return recorded_sound(wavs) if wavs else made_sound(rate)


def _measure(
    console: Console,
    profiled: tuple[ProfiledModel, ...],
    source: Sound | Source,
    config: SessionConfig,
) -> Profile:
    from edge_ser.profiling.session import profile

    # Automatic redraws, ten a second, would be part of the measurement.
    with progress_bars(console, auto_refresh=False) as progress:
        task = progress.add_task("measuring", total=1.0)

        def on_progress(stage: str, share: float) -> None:
            progress.update(task, description=stage, completed=share)
            progress.refresh()

        return profile(profiled, source, config, on_progress)


def _write(profile: Profile, json_file: str | None, html_file: Path | None) -> list[Path]:
    from edge_ser._util.files import write_text

    written = []
    if json_file and json_file != "-":
        profile.save(Path(json_file))
        written.append(Path(json_file))
    if html_file:
        from edge_ser.reports.profile_page import page

        write_text(html_file, page(profile))
        written.append(html_file)
    return written


class _OverBudget(EdgeSerError):
    """Latency above the budget that was given."""
