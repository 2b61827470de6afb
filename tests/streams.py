"""Streams for tests: models of all kinds, noise that is always the same, a detector of loudness."""

from __future__ import annotations

import numpy as np
from support import FakeRunner, make_card

from edge_ser.audio.io import AudioChunk, dbfs
from edge_ser.card import FrontendConfig, ModelCard, Normalization

RATE = 16_000


class SensitiveRunner(FakeRunner):
    """Logits in which every value of the input, and its place, counts."""

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self.inputs.append(inputs.copy())
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        scale = 0.05 if self.card.input == "features" else 20.0
        weights = [np.cos(k * np.arange(flat.shape[1]) / 7) for k in range(len(self.card.labels))]
        return (scale * flat @ np.array(weights).T / flat.shape[1]).astype(np.float32)


def card_with(frontend: FrontendConfig) -> ModelCard:
    """Return a features card with this front end."""
    n = frontend.n_features
    return make_card(frontend=frontend, normalization=Normalization((0.0,) * n, (1.0,) * n))


CARDS = {
    "features": make_card(),
    "waveform": make_card(input="waveform"),
    "centred": card_with(FrontendConfig(n_mels=26, n_mfcc=13, center=True)),
    "deltas": card_with(FrontendConfig(n_mels=26, n_mfcc=13, deltas=2, preemphasis=0.97)),
    "paper": card_with(FrontendConfig.paper()),
}


def noise(n_samples: int, level: float = 0.1) -> np.ndarray:
    """Return float32 [n_samples], always the same beginning of the same noise."""
    return (level * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


def in_chunks(samples: np.ndarray, sizes: list[int], rate: int = RATE) -> list[AudioChunk]:
    """Cut samples into pieces of these sizes, and the rest."""
    cuts = np.minimum(np.cumsum(sizes), len(samples)) if sizes else []
    return [AudioChunk(piece, rate) for piece in np.split(samples, cuts)]


class LevelDetector:
    """Takes for speech whatever is louder than -40 dB of full scale."""

    name = "level"
    sample_rate = RATE
    frame_samples = 320

    def push(self, frame: np.ndarray) -> float:
        assert frame.shape == (320,)
        return float(dbfs(frame) > -40)

    def reset(self) -> None:
        """Nothing is kept."""


def scene(*lengths_s: float, rate: int = RATE) -> np.ndarray:
    """Return silence and noise in turns, silence first, of these lengths."""
    samples = noise(round(sum(lengths_s) * rate))
    begin = 0
    for i, length_s in enumerate(lengths_s):
        n = round(length_s * rate)
        if i % 2 == 0:
            samples[begin : begin + n] *= 1e-3
        begin += n
    return samples
