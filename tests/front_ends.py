"""Front ends and signals to try them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from edge_ser.card import FrontendConfig
from edge_ser.frontend import mfcc

GOLDEN = Path(__file__).parent / "golden" / "frontend.npz"

CONFIGS = {
    "default": FrontendConfig(),
    "paper": FrontendConfig.paper(),
    "htk": FrontendConfig(mel_scale="htk", n_mels=40, n_mfcc=13, window="hamming"),
    "dct_none": FrontendConfig(dct_norm="none", n_mfcc=20),
    "blackman_centred": FrontendConfig(window="blackman", center=True, log_floor=1e-8),
    "boxcar_whole_frame": FrontendConfig(window="boxcar", win_length=512),
    "preemphasis_deltas": FrontendConfig(preemphasis=0.97, deltas=1, n_mfcc=13),
    "two_deltas_centred": FrontendConfig(deltas=2, center=True, n_mels=40, n_mfcc=13),
    "odd": FrontendConfig(n_fft=511, win_length=399, hop_length=157, center=True, n_mels=40),
    "odd_window_in_even_frame": FrontendConfig(win_length=321, n_mels=40),
    "8kHz": FrontendConfig(
        sample_rate=8_000,
        n_fft=256,
        win_length=200,
        hop_length=80,
        n_mels=32,
        n_mfcc=13,
        fmax=3_800,
    ),
    "48kHz": FrontendConfig(
        sample_rate=48_000, n_fft=2_048, win_length=1_200, hop_length=480, fmax=24_000
    ),
}
SIGNALS = ("tone 110", "tone 440", "tone 1000", "tone 3521.7", "chirp", "noise", "impulse")

each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def compilable(config: FrontendConfig) -> bool:
    """Return whether the compiled kernel takes it: by the length of its FFT, a power of two."""
    return config.n_fft & (config.n_fft - 1) == 0


def synthetic(kind: str, sample_rate: int, seconds: float = 0.6) -> np.ndarray:
    """Return float32 [n_samples] of a signal in SIGNALS."""
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    name, _, frequency = kind.partition(" ")
    if name == "tone":
        samples = 0.5 * np.sin(2 * np.pi * float(frequency) * t)
    elif name == "chirp":
        samples = 0.5 * scipy.signal.chirp(t, 50, seconds, 0.45 * sample_rate)
    elif name == "noise":
        samples = 0.1 * np.random.default_rng(7).standard_normal(len(t))
    else:
        samples = (np.arange(len(t)) == len(t) // 2).astype(float)
    return samples.astype(np.float32)


def golden_features() -> dict[str, np.ndarray]:
    """Compute what GOLDEN holds. The chirp is rounded to 16 bits: every libm gives the same."""
    features = {}
    for name in ("default", "paper"):
        config = CONFIGS[name]
        chirp = synthetic("chirp", config.sample_rate, 0.5)
        features[name] = mfcc((np.round(chirp * 32_767) / 32_768).astype(np.float32), config)
    return features


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **golden_features())
    print(f"wrote {GOLDEN}")
