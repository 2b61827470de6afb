"""`edge-ser run`: recognise emotion in files, a pipe, a URL or a live microphone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli._shared.options import (
    DefaultOf,
    baseline_option,
    channel_option,
    detector_option,
    mic_option,
    microphone_option,
    model_option,
    prior_option,
    runner_option,
    threads_option,
)
from edge_ser.cli._shared.tables import plain_table
from edge_ser.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from edge_ser.audio.sources.base import Source
    from edge_ser.cli.run_loop import OpenSink
    from edge_ser.recognition.recognizer import Recognizer
    from edge_ser.recognition.streaming import StreamConfig


@click.command(name="run")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--wav",
    is_flag=True,
    help="Recognise FILES: audio files (WAV, FLAC, OGG, MP3, ...) or directories of them.",
)
@mic_option("Listen to a microphone until Ctrl-C.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read raw PCM from a pipe; needs --rate.")
@click.option("--url", help="Listen to whatever ffmpeg opens: rtsp://..., http://..., a video.")
@click.option("--list-devices", is_flag=True, help="List the microphones and exit.")
@model_option(
    "ONNX file of `edge-ser export`, an engine, or a bundled model: bundled, bundled-int8, "
    "bundled-commercial, bundled-commercial-int8.  [default: bundled]"
)
@runner_option("Inference backend: auto is the CPU for ONNX files, TensorRT for engines.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="text: a live view on a terminal, else plain lines. jsonl: one JSON event a line.",
)
@click.option(
    "--window", "window_s", type=float, help="Window length in seconds.  [default: the model's]"
)
@click.option(
    "--hop",
    "hop_s",
    type=float,
    help="Seconds from one window to the next.  [default: the model's]",
)
@click.option(
    "--vad/--no-vad",
    default=None,
    help="Use a voice detector to find speech.  [default: --vad]",
)
@detector_option("Voice detector.")
@click.option(
    "--smoothing",
    "smoothing_s",
    type=click.FloatRange(0, 60),
    default=DefaultOf("edge_ser.recognition.smoothing:Smoothing.time_constant_s"),
    show_default=True,
    help="Time constant of the smoothing of probabilities in seconds; 0 for none.",
)
@click.option(
    "--abstain-below",
    type=click.FloatRange(0, 1, max_open=True),
    help="Confidence below which no label is reported.  [default: that of the model's card]",
)
@prior_option(
    "Ratio of each emotion's frequency here to that in training: neutral=3,sad=0.5, or none. "
    "See `edge-ser prior`."
)
@baseline_option(
    "Baseline of the voice or site: a file of `edge-ser enroll`, or running, the mean of earlier "
    "speech, for models that accept one.  [default: that of the model's card, usually none]"
)
@click.option(
    "--min-level",
    "min_level_dbfs",
    type=click.FloatRange(-120, 0),
    default=DefaultOf("edge_ser.recognition.recognizer:MIN_LEVEL_DBFS"),
    show_default=True,
    help="Level in dBFS below which a window is silence.",
)
@threads_option
@microphone_option("Microphone: its number, or part of its name (see --list-devices).")
@click.option(
    "--wait-for-device",
    is_flag=True,
    help="Start even if the microphone or the URL is not available yet, for services.",
)
@channel_option("Channel to use.  [default: the mean of all channels]")
@click.option("--rate", type=int, help="Sample rate of --stdin, in Hz.")
@click.option(
    "--channels", type=int, default=1, show_default=True, help="Interleaved channels of --stdin."
)
@click.option(
    "--encoding",
    type=click.Choice(["s16le", "s32le", "f32le"]),
    default="s16le",
    show_default=True,
    help="Sample format of --stdin.",
)
@click.option("--input-format", help="Input format of --url for ffmpeg: alsa, pulse, v4l2, ...")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="Stop a live source after this many seconds.",
)
@click.option(
    "--heartbeat",
    "heartbeat_s",
    type=click.FloatRange(0.1, 86_400),
    default=DefaultOf("edge_ser.recognition.streaming:StreamConfig.heartbeat_s"),
    show_default=True,
    help="Seconds between heartbeat events.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    help="Store audio and events in this directory. The recordings contain speech.",
)
@click.option(
    "--record-limit",
    "record_limit_mb",
    type=click.FloatRange(1),
    default=1000.0,
    show_default=True,
    help="Size limit in megabytes; the oldest recordings are deleted first.",
)
def command(
    files: tuple[Path, ...],
    wav: bool,
    mic: bool,
    from_stdin: bool,
    url: str | None,
    list_devices: bool,
    model: Path | None,
    runner: str,
    form: str,
    window_s: float | None,
    hop_s: float | None,
    vad: bool | None,
    detector: str,
    smoothing_s: float,
    abstain_below: float | None,
    prior: str | None,
    baseline: str | None,
    min_level_dbfs: float,
    threads: int,
    device: str | None,
    wait_for_device: bool,
    channel: int | None,
    rate: int | None,
    channels: int,
    encoding: str,
    input_format: str | None,
    seconds: float | None,
    heartbeat_s: float,
    record: Path | None,
    record_limit_mb: float,
) -> None:
    """Recognise emotion in FILES, a pipe, a URL or a live microphone.

    \b
      edge-ser run --wav examples/
      edge-ser run --mic
      arecord -f S16_LE -r 16000 | edge-ser run --stdin --rate 16000
      edge-ser run --url rtsp://camera/stream --format jsonl

    JSON lines are events: window, speech_start, emotion, speech_end, clip, overrun, device_lost,
    device_back, heartbeat, start and end, as described in docs/events.md. Messages go to stderr.
    """
    if list_devices:
        _print_devices()
        return
    named = {"--wav": wav, "--mic": mic, "--stdin": from_stdin, "--url": url is not None}
    kind = _kind(files, [name for name, on in named.items() if on])
    if from_stdin and rate is None:
        raise click.UsageError("--stdin requires --rate: raw PCM does not contain its sample rate")
    if record is not None and kind == "--wav":
        raise click.UsageError("--record requires a live source, got --wav; remove --record")
    if baseline == "running" and vad is False and kind != "--wav":
        raise click.UsageError(
            "--baseline running requires utterances, got --no-vad; remove one of them"
        )

    from edge_ser.cli.run_loop import Run, run_files, run_source
    from edge_ser.cli.view import open_output
    from edge_ser.inference.loader import open_runner
    from edge_ser.recognition.prior import parse_prior
    from edge_ser.recognition.recognizer import Recognizer

    opened = open_runner(model, threads, runner)
    recognizer = Recognizer(
        opened,
        window_s=window_s,
        hop_s=hop_s,
        min_level_dbfs=min_level_dbfs,
        prior=parse_prior(prior, opened.card.labels) if prior is not None else None,
        baseline=baseline,
    )
    live = kind != "--wav"
    run = Run(
        recognizer,
        open_output("jsonl" if form == "jsonl" else "text", live, utterances=bool(vad)),
        _settings(recognizer, live, smoothing_s, abstain_below, heartbeat_s),
        detector if vad is None or vad else None,
    )
    if kind == "--wav":
        run_files(run, files, channel)
        return
    source: Source
    if kind == "--mic":
        from edge_ser.audio.sources import MicrophoneSource

        source = MicrophoneSource(device, channel, wait_for_device=wait_for_device)
    elif kind == "--stdin":
        source = _stdin(rate or 0, channels, encoding, channel)
    else:
        from edge_ser.audio.sources import FfmpegSource

        source = FfmpegSource(
            url or "", input_format, channel=channel, wait_for_device=wait_for_device
        )
    run_source(run, source, seconds, _sinks(record, record_limit_mb))


def _kind(files: tuple[Path, ...], chosen: list[str]) -> str:
    """Return the option of the source that was chosen."""
    if files and not chosen:
        chosen = ["--wav"]
    if len(chosen) != 1:
        raise click.UsageError(
            "expected one of --wav FILE..., --mic, --stdin, --url, got "
            f"{' and '.join(chosen) or 'no source'}"
        )
    if chosen == ["--wav"] and not files:
        raise click.UsageError("--wav requires a file; for example: edge-ser run --wav speech.wav")
    if files and chosen != ["--wav"]:
        raise click.UsageError(f"{chosen[0]} takes no files, got {files[0]}")
    return chosen[0]


def _settings(
    recognizer: Recognizer,
    live: bool,
    smoothing_s: float,
    abstain_below: float | None,
    heartbeat_s: float,
) -> StreamConfig:
    import dataclasses

    settings = recognizer.stream_settings(live=live)
    smoothing = dataclasses.replace(settings.smoothing, time_constant_s=smoothing_s)
    if abstain_below is not None:
        smoothing = dataclasses.replace(smoothing, abstain_below=abstain_below)
    return dataclasses.replace(settings, smoothing=smoothing, heartbeat_s=heartbeat_s)


def _stdin(rate: int, channels: int, encoding: str, channel: int | None) -> Source:
    from edge_ser.audio.sources import PcmSource

    if sys.stdin.isatty():
        raise ConfigError("--stdin expects a pipe, got a terminal; use --mic to record")
    return PcmSource(sys.stdin.buffer, rate, channels, encoding, channel)


def _sinks(record: Path | None, record_limit_mb: float) -> list[OpenSink]:
    """Return the sinks of a live source besides the output; add a new sink here."""
    from edge_ser.sinks.recorder import Recorder
    from edge_ser.sinks.systemd import SystemdSink

    sinks: list[OpenSink] = []
    if record is not None:
        sinks.append(
            lambda output: Recorder(record, limit_mb=record_limit_mb, on_message=output.problem)
        )
    sinks.append(lambda _output: SystemdSink())
    return sinks


def _print_devices() -> None:
    from rich.console import Console
    from rich.markup import escape

    from edge_ser.audio.sources.devices import list_devices

    devices = list_devices()
    if not devices:
        raise AudioError("no microphone found; connect one and check `arecord -l`")
    table = plain_table("", "--device", "name", "through", right=("channels", "rate"))
    for d in devices:
        mark = "*" if d.is_default else ""
        table.add_row(
            mark,
            str(d.index),
            escape(d.name),
            escape(d.host_api),
            str(d.n_channels),
            f"{d.sample_rate} Hz",
        )
    console = Console()
    console.print(table)
    console.print("* is the default of --mic", style="dim")
