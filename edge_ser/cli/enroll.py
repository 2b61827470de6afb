"""`edge-ser enroll`: compute a baseline of a voice or site from neutral speech."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    channel_option,
    detector_option,
    mic_option,
    microphone_option,
    model_option,
    out_option,
    threads_option,
)
from edge_ser.cli._shared.progress import progress_bars

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source, SourceItem
    from edge_ser.recognition.baseline import Baseline, Enrolment
    from edge_ser.recognition.recognizer import Recognizer
    from edge_ser.recognition.streaming import StreamingRecognizer


@click.command(name="enroll")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@mic_option("Listen to a microphone.")
@click.option("--wav", is_flag=True, help="Read FILES: audio files or directories of them.")
@out_option("The file to write, for `run --baseline FILE`.", dir_okay=False)
@click.option(
    "--name", help="Name of the voice or site, as reported in events.  [default: the file's name]"
)
@model_option("Model of the baseline.  [default: the bundled model]")
@click.option(
    "--seconds",
    type=click.FloatRange(5, 600),
    default=20.0,
    show_default=True,
    help="Seconds of speech to record from --mic; Ctrl-C ends earlier.",
)
@detector_option("Voice detector.")
@microphone_option("Microphone: its number, or part of its name.")
@channel_option("Channel to use.  [default: the mean of all channels]")
@threads_option
def command(
    files: tuple[Path, ...],
    mic: bool,
    wav: bool,
    out: Path,
    name: str | None,
    model: Path | None,
    seconds: float,
    detector: str,
    device: str | None,
    channel: int | None,
    threads: int,
) -> None:
    """Compute a baseline of a voice or a site from 20 s of neutral speech.

    \b
      edge-ser enroll --mic --out anna.json
      edge-ser enroll --wav recordings/ --out kitchen.json --name kitchen
      edge-ser run --mic --baseline anna.json

    The file holds the mean of each model output over the speech, and no audio. It is valid for this
    model in every precision.
    """
    if mic and (files or wav):
        raise click.UsageError("expected --mic or files, got both; remove one")
    if not mic and not files:
        raise click.UsageError(
            "expected --mic or files, got neither; for example: edge-ser enroll --wav FILE... --out FILE"
        )

    from edge_ser.recognition.baseline import ENOUGH_SPEECH_S, Enrolment, require_baseline
    from edge_ser.recognition.recognizer import Recognizer

    recognizer = Recognizer(model, threads=threads, baseline="none")
    require_baseline(recognizer.card)
    enrolment = Enrolment(recognizer.card)
    stop_s = seconds if mic else None
    for source in _sources(files, mic, device, channel):
        _read(source, enrolment, recognizer, detector, stop_s)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    baseline = enrolment.baseline(name or out.stem, today)
    baseline.save(out)
    _report(baseline, out)
    if baseline.speech_s < ENOUGH_SPEECH_S:
        click.echo(
            f"edge-ser: expected {ENOUGH_SPEECH_S:g} s of speech or more, better 20 s, got "
            f"{baseline.speech_s:.1f} s: the baseline depends on the words spoken",
            err=True,
        )


def _sources(
    files: tuple[Path, ...], mic: bool, device: str | None, channel: int | None
) -> Iterator[Source]:
    from edge_ser.audio.io import find_audio
    from edge_ser.audio.sources import FileSource, MicrophoneSource

    if mic:
        yield MicrophoneSource(device, channel)
        return
    for named in files:
        for path in find_audio(named):
            yield FileSource(path, channel)


def _read(
    source: Source,
    enrolment: Enrolment,
    recognizer: Recognizer,
    detector: str,
    stop_s: float | None,
) -> None:
    """Read a source until its end, Ctrl-C, or `stop_s` seconds of speech."""
    from edge_ser.vad.detectors import open_detector

    with source:
        stream = recognizer.open_stream(
            source.name, detector=open_detector(detector), baseline=enrolment
        )
        try:
            _push(source, stream, enrolment, stop_s)
        except KeyboardInterrupt:
            if stop_s is None:
                raise
    stream.finish()


def _push(
    items: Iterator[SourceItem] | Source,
    stream: StreamingRecognizer,
    enrolment: Enrolment,
    stop_s: float | None,
) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    with progress_bars(console, shown=stop_s is not None) as progress:
        task = progress.add_task("speak neutrally", total=stop_s)
        began_s = None
        for item in items:
            stream.push(item)
            speaking = stream.state == "speech"
            began_s = (began_s if began_s is not None else stream.at_s) if speaking else None
            # The utterance in progress counts, too, so that the bar moves without pauses.
            current_s = 0.0 if began_s is None else stream.at_s - began_s
            speech_s = enrolment.total_s + current_s
            progress.update(task, completed=speech_s)
            if stop_s is not None and speech_s >= stop_s:
                return


def _report(baseline: Baseline, out: Path) -> None:
    click.echo(
        f"{out}: baseline {baseline.name}, {baseline.speech_s:.1f} s of speech in "
        f"{baseline.n_utterances} utterances, for {baseline.model}"
    )
