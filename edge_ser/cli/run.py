"""`edge-ser run`: files, a pipe or a microphone in; a live view, plain lines or JSON lines out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.errors import AudioError, ConfigError, EdgeSerError

if TYPE_CHECKING:
    from edge_ser.cli.output import Output
    from edge_ser.runtime.recognizer import Recognizer


_CLIPPED = 0.002
"""Share of clipped samples from which a user should hear of it."""


@click.command(name="run")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--wav",
    is_flag=True,
    help="Recognise FILES: audio files (WAV, FLAC, OGG, MP3, ...) or directories of them.",
)
@click.option("--mic", is_flag=True, help="Listen to a microphone until Ctrl-C.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read raw PCM from a pipe; needs --rate.")
@click.option("--list-devices", is_flag=True, help="List the microphones and stop.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="An ONNX file of `edge-ser export`.  [default: the bundled model]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="Live bars or plain lines, or one JSON object a window.",
)
@click.option(
    "--window", "window_s", type=float, help="Seconds classified at once.  [default: the model's]"
)
@click.option("--hop", "hop_s", type=float, help="Seconds between windows.  [default: the model's]")
@click.option(
    "--min-level",
    "min_level_dbfs",
    type=click.FloatRange(-120, 0),
    default=-70.0,
    show_default=True,
    help="Level in dB of full scale below which a window is silence.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="CPU threads for one inference.",
)
@click.option("--device", help="Microphone: its number, or part of its name (see --list-devices).")
@click.option(
    "--channel", type=click.IntRange(0, 63), help="Channel to take.  [default: the mean of all]"
)
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
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="Stop --mic after so many seconds.",
)
def command(
    files: tuple[Path, ...],
    wav: bool,
    mic: bool,
    from_stdin: bool,
    list_devices: bool,
    model: Path | None,
    form: str,
    window_s: float | None,
    hop_s: float | None,
    min_level_dbfs: float,
    threads: int,
    device: str | None,
    channel: int | None,
    rate: int | None,
    channels: int,
    encoding: str,
    seconds: float | None,
) -> None:
    """Recognise emotion in FILES, a pipe or a live microphone.

    \b
      edge-ser run --wav examples/
      edge-ser run --mic
      arecord -f S16_LE -r 16000 | edge-ser run --stdin --rate 16000

    JSON lines: one object a window with source, start_s, end_s, label, confidence, probs,
    level_dbfs, clipped and compute_ms; label, confidence and probs are null where the window is
    silent. A file ends with an object with "final": true for the whole clip. Messages go to stderr.
    """
    if list_devices:
        _print_devices()
        return
    chosen = [name for name, on in (("--wav", wav), ("--mic", mic), ("--stdin", from_stdin)) if on]
    if files and not chosen:
        chosen = ["--wav"]
    if len(chosen) != 1:
        raise click.UsageError(
            f"{' and '.join(chosen) or 'no source'} came; choose one of --wav FILE..., --mic, --stdin"
        )
    if chosen == ["--wav"] and not files:
        raise click.UsageError("--wav came without a file; try: edge-ser run --wav speech.wav")
    if files and chosen != ["--wav"]:
        raise click.UsageError(f"{chosen[0]} takes no files, {files[0]} came")
    if from_stdin and rate is None:
        raise click.UsageError("--stdin needs --rate: raw PCM does not say its sample rate")

    from edge_ser.cli.output import open_output
    from edge_ser.runtime.recognizer import Recognizer

    recognizer = Recognizer(
        model,
        window_s=window_s,
        hop_s=hop_s,
        min_level_dbfs=min_level_dbfs,
        threads=threads,
    )
    with open_output(form, recognizer.card.labels, live=bool(mic or from_stdin)) as output:
        if mic:
            _run_microphone(recognizer, output, device, channel, seconds)
        elif from_stdin:
            _run_stdin(recognizer, output, rate or 0, channels, encoding, channel)
        else:
            _run_files(recognizer, output, files, channel)


def _run_files(
    recognizer: Recognizer, output: Output, paths: tuple[Path, ...], channel: int | None
) -> None:
    """Recognise every file; those that cannot be are named, and the exit code is 1 then."""
    from edge_ser.audio import file_chunks, find_audio
    from edge_ser.runtime.recognizer import ClipTally

    failed = 0
    for named in paths:
        try:
            found = find_audio(named)
        except AudioError as error:
            output.problem(str(error))
            failed += 1
            continue
        for path in found:
            tally = ClipTally(str(path))
            try:
                for window in recognizer.stream(file_chunks(path, channel), str(path)):
                    tally.add(window)
                    output.window(window)
                clip = tally.final()
                output.final(clip)
                if clip.clipped > _CLIPPED:
                    output.note(
                        f"{path}: {clip.clipped:.1%} of the samples are clipped, so the result is "
                        "doubtful; record with less gain"
                    )
            except AudioError as error:
                output.problem(str(error))
                failed += 1
    if failed:
        raise _Failed


def _run_stdin(
    recognizer: Recognizer,
    output: Output,
    rate: int,
    channels: int,
    encoding: str,
    channel: int | None,
) -> None:
    from edge_ser.audio import Chunk
    from edge_ser.runtime.recognizer import ClipTally
    from edge_ser.runtime.sources import PcmSource

    if sys.stdin.isatty():
        raise ConfigError("--stdin was given, but nothing is piped in; use --mic to record")
    tally = ClipTally("stdin")
    source = PcmSource(sys.stdin.buffer, rate, channels, encoding, channel)
    chunks = (signal for signal in source if isinstance(signal, Chunk))
    try:
        for window in recognizer.stream(chunks, "stdin"):
            tally.add(window)
            output.window(window)
    except KeyboardInterrupt:
        return
    output.final(tally.final())


def _run_microphone(
    recognizer: Recognizer,
    output: Output,
    device: str | None,
    channel: int | None,
    seconds: float | None,
) -> None:
    from edge_ser.audio import Chunk
    from edge_ser.runtime.recognizer import WindowStream
    from edge_ser.runtime.sources import MicrophoneSource

    # A service manager ends us with SIGTERM: the same clean end as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with MicrophoneSource(device, channel, reopen=False) as microphone:
        opened = microphone.device
        if opened is not None:
            output.note(
                f"listening to {opened.name!r} at {opened.sample_rate} Hz, "
                f"{microphone.n_channels} channel(s); Ctrl-C ends"
            )
        windows = WindowStream(recognizer, microphone.name)
        heard_s = 0.0
        try:
            for chunk in microphone:
                if not isinstance(chunk, Chunk):
                    continue
                heard_s += len(chunk.samples) / chunk.sample_rate
                for window in windows.push(chunk):
                    output.window(window)
                if seconds is not None and heard_s >= seconds:
                    break
        except KeyboardInterrupt:
            pass
        finally:
            output.summary(heard_s, microphone.overruns, microphone.dropped_s)


def _print_devices() -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edge_ser.runtime.sources.devices import list_devices

    devices = list_devices()
    if not devices:
        raise AudioError("this machine offers no microphone; plug one in and check `arecord -l`")
    table = Table("", "--device", "name", "through", "channels", "rate", box=None, pad_edge=False)
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
    console.print("* is what --mic takes without --device", style="dim")


class _Failed(EdgeSerError):
    """Some inputs failed; each was already named."""

    def __init__(self) -> None:
        super().__init__("some inputs could not be recognised, see above")
