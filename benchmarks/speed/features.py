"""Time the front end against what else computes MFCCs: one hop of a stream, and a whole clip."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness
import numpy as np
from harness import Contestant, in_turns
from numpy.typing import NDArray
from report import Part, Target, deliver, parser, timing_table
from speech import clip

from edge_ser.frontend import StreamingFeatures, kernel_for, mfcc
from edge_ser.frontend.in_numpy import NumpyKernel
from edge_ser.inference.loader import bundled_model
from edge_ser.inference.onnxruntime import OnnxRunner

Float32 = NDArray[np.float32]

CONFIG = OnnxRunner(bundled_model()).card.frontend
HOP = 4_000
IN_A_ROW = 10
OURS, OURS_HOP, IN_NUMPY = "edge-ser", "edge-ser, new hop", "edge-ser in NumPy"
LIBROSA_HOP = "librosa, window of 3 s again"
WANTED = ("librosa", "python_speech_features", "kaldi-native-fbank")

METHOD = (
    "40 MFCCs of 64 mel bands (25 ms every 10 ms, FFT of 512) of speech at 16 kHz; a new hop is 250 ms. "
    "Contestants take turns in an order drawn anew each round; tables, filters and extractors are made "
    "before, where a package lets them be kept."
)

CACHES = (
    "One by one, what is short meets caches that the others have filled; a device that does little "
    "else is between the two."
)
KERNEL = (
    f"edge-ser: {kernel_for(CONFIG).name}; in NumPy: what runs where no C compiler was found, without "
    "what the stream keeps from hop to hop."
)
CALLS = (
    "kaldi-native-fbank gives one frame a call, and openSMILE builds its graph anew for each clip: "
    "their Python interfaces offer nothing else."
)

OPENSMILE = r"""
[componentInstances:cComponentManager]
instance[dataMemory].type=cDataMemory
\{\cm[source{?}:include external source]}
[componentInstances:cComponentManager]
instance[framer].type=cFramer
instance[windower].type=cWindower
instance[fft].type=cTransformFFT
instance[magnitude].type=cFFTmagphase
instance[mel].type=cMelspec
instance[mfcc].type=cMfcc
[framer:cFramer]
reader.dmLevel=wave
writer.dmLevel=frames
frameSize=0.025
frameStep=0.010
frameCenterSpecial=left
[windower:cWindower]
reader.dmLevel=frames
writer.dmLevel=windowed
winFunc=Hann
[fft:cTransformFFT]
reader.dmLevel=windowed
writer.dmLevel=fft
[magnitude:cFFTmagphase]
reader.dmLevel=fft
writer.dmLevel=magnitude
[mel:cMelspec]
reader.dmLevel=magnitude
writer.dmLevel=mel
nBands=64
lofreq=20
hifreq=7600
usePower=1
[mfcc:cMfcc]
reader.dmLevel=mel
writer.dmLevel=lld
firstMfcc=0
lastMfcc=39
cepLifter=0
\{\cm[sink{?}:include external sink]}
"""


def main() -> int:
    """Time and print."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=500)
    chosen = options.parse_args()
    harness.on_one_core()
    part = measure(chosen.rounds)
    return deliver(part, chosen.json)


def measure(rounds: int) -> Part:
    """Return what was found."""
    samples = clip(3.0)
    stream = StreamingFeatures(CONFIG)
    pieces = [samples[start : start + HOP] for start in range(0, len(samples), HOP)]
    turn = iter(range(sys.maxsize))

    def push() -> None:
        stream.push(pieces[next(turn) % len(pieces)])

    numpy = NumpyKernel(CONFIG)
    new_frames = samples[: HOP + CONFIG.n_fft - CONFIG.hop_length]
    pair = [
        Contestant(OURS_HOP, push),
        Contestant(IN_NUMPY, lambda: numpy.cepstra(new_frames)),
        Contestant(LIBROSA_HOP, librosa(samples)),
    ]
    whole = [
        Contestant(OURS, lambda: mfcc(samples, CONFIG)),
        Contestant(IN_NUMPY, lambda: numpy.cepstra(samples)),
    ]
    absent = []
    for name, make in (
        ("librosa", librosa),
        ("python_speech_features", speech_features),
        ("kaldi-native-fbank", kaldi),
        ("torchaudio", torchaudio),
        ("openSMILE, MFCC alone", opensmile),
    ):
        try:
            whole.append(Contestant(name, make(samples)))
        except (ImportError, OSError) as error:
            reason = str(error).splitlines()[0].replace(f"{sys.prefix}/", "")
            absent.append(f"{name} was not measured: {reason}.")
    tables, targets = [], []
    for how, in_a_row in ((f"{IN_A_ROW} in a row", IN_A_ROW), ("one by one", 1)):
        n_rounds = max(1, rounds // in_a_row)
        hops = in_turns(pair, n_rounds, in_a_row=in_a_row)
        clips = in_turns(whole, n_rounds, in_a_row=in_a_row)
        tables += [
            timing_table(list(hops.values()), hops[OURS_HOP], f"A new hop of 250 ms, {how}"),
            timing_table(list(clips.values()), clips[OURS], f"A whole clip of 3 s, {how}"),
        ]
        ratio = hops[LIBROSA_HOP].ratio(hops[OURS_HOP])
        targets.append(Target.at_least(f"a new hop, times faster than librosa, {how}", 20, ratio))
        for name in (name for name in WANTED if name in clips):
            ratio = clips[name].ratio(clips[OURS])
            targets.append(Target.at_least(f"a clip, times faster than {name}, {how}", 3, ratio))
    return Part(
        title="Features",
        method=METHOD,
        versions=harness.versions(
            "numpy",
            "librosa",
            "python_speech_features",
            "kaldi-native-fbank",
            "torchaudio",
            "torch",
            "opensmile",
        ),
        tables=tables,
        targets=targets,
        notes=[f"{rounds} runs of each. {KERNEL}", CACHES, CALLS, *absent],
    )


def librosa(samples: Float32) -> Callable[[], object]:
    """Return librosa's MFCCs with the front end's settings."""
    import librosa as package

    def run() -> object:
        return package.feature.mfcc(
            y=samples,
            sr=CONFIG.sample_rate,
            n_mfcc=CONFIG.n_mfcc,
            n_fft=CONFIG.n_fft,
            win_length=CONFIG.win_length,
            hop_length=CONFIG.hop_length,
            n_mels=CONFIG.n_mels,
            fmin=CONFIG.fmin,
            fmax=CONFIG.fmax,
            center=CONFIG.center,
        )

    run()
    return run


def speech_features(samples: Float32) -> Callable[[], object]:
    """Return python_speech_features' MFCCs."""
    from python_speech_features import mfcc as package

    return lambda: package(
        samples, CONFIG.sample_rate, numcep=CONFIG.n_mfcc, nfilt=CONFIG.n_mels, nfft=CONFIG.n_fft
    )


def kaldi(samples: Float32) -> Callable[[], object]:
    """Return kaldi-native-fbank's MFCCs, all frames in one array."""
    import kaldi_native_fbank as package

    options = package.MfccOptions()
    options.num_ceps = CONFIG.n_mfcc
    options.use_energy = False
    options.mel_opts.num_bins = CONFIG.n_mels
    options.mel_opts.low_freq = CONFIG.fmin
    options.mel_opts.high_freq = CONFIG.fmax
    options.frame_opts.samp_freq = CONFIG.sample_rate
    options.frame_opts.dither = 0.0

    def run() -> object:
        stream = package.OnlineMfcc(options)
        stream.accept_waveform(CONFIG.sample_rate, samples)
        stream.input_finished()
        return np.stack([stream.get_frame(i) for i in range(stream.num_frames_ready)])

    return run


def torchaudio(samples: Float32) -> Callable[[], object]:
    """Return torchaudio's MFCCs."""
    import torch
    import torchaudio as package

    torch.set_num_threads(1)
    sizes = {
        "n_fft": CONFIG.n_fft,
        "win_length": CONFIG.win_length,
        "hop_length": CONFIG.hop_length,
        "n_mels": CONFIG.n_mels,
        "center": CONFIG.center,
    }
    transform = package.transforms.MFCC(CONFIG.sample_rate, CONFIG.n_mfcc, melkwargs=sizes)
    waveform = torch.from_numpy(samples)

    def run() -> object:
        with torch.inference_mode():
            return transform(waveform)

    return run


def opensmile(samples: Float32) -> Callable[[], object]:
    """Return openSMILE's MFCCs, by a configuration that computes nothing else."""
    import opensmile as package

    config = Path(tempfile.mkdtemp()) / "mfcc.conf"
    config.write_text(OPENSMILE, encoding="utf-8")
    atexit.register(shutil.rmtree, config.parent)
    smile = package.Smile(
        feature_set=str(config),
        feature_level=package.FeatureLevel.LowLevelDescriptors.value,
        num_workers=1,
    )
    n_features = smile.process_signal(samples, CONFIG.sample_rate).shape[1]
    if n_features != CONFIG.n_mfcc:
        raise OSError(f"{n_features} features a frame came, {CONFIG.n_mfcc} were wanted")
    return lambda: smile.process_signal(samples, CONFIG.sample_rate)


if __name__ == "__main__":
    sys.exit(main())
