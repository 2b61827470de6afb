"""Model card in a model file: front end, labels, normalisation, provenance, accuracy.

All classes are frozen dataclasses, checked on construction, and stored as JSON in the metadata of the
ONNX file (key `CARD_KEY`). There is no side file, and nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_ser._util.records import build, require
from edge_ser.errors import ConfigError, ModelError

CARD_KEY = "edge_ser.card"
CARD_FORMAT = 1

_MIN_FLOAT32 = 1.2e-38

_MOST = {"sample_rate": 768_000, "n_fft": 16_384, "hop_length": 768_000, "n_mels": 512}
"""Upper bounds beyond any speech front end, so that a damaged card cannot cause tables of gigabytes."""

WINDOWS = ("hann", "hamming", "blackman", "boxcar")
MEL_SCALES = ("slaney", "htk")
DCT_NORMS = ("ortho", "none")
INPUTS = ("features", "waveform")

AROUSAL_OUTPUT = "arousal"
"""Name of the graph's second output, if `ModelCard.arousal` is set."""

BASELINE_WAYS = ("none", "running")
"""Kinds of baseline without a file: none, or a mean over earlier utterances."""


@dataclass(frozen=True)
class FrontendConfig:
    """Parameters of the MFCCs. Names and meanings are librosa's; there is no `top_db`.

    librosa clips each recording at 80 dB below that recording's own maximum. A stream has no
    maximum yet, so this front end has a fixed `log_floor` instead and gives the same features
    whether the audio comes at once or in pieces.

    Frame `t` (`center=False`, the default) covers samples `[t * hop_length, t * hop_length +
    n_fft)` with the `win_length` window in its middle: no look-ahead, no padding. With
    `center=True`, `n_fft // 2` zeros stand before and after the audio, so that frame `t` is centred
    on sample `t * hop_length` (librosa's default).

    Raises:
        ConfigError: a value out of range. (`frontend.mel_filterbank` rejects bands that contain no
            FFT bin.)
    """

    sample_rate: int = 16_000
    """Hz; audio at another rate is resampled before."""
    n_fft: int = 512
    """Samples of one FFT."""
    win_length: int = 400
    """Samples of the window, at most `n_fft`."""
    hop_length: int = 160
    """Samples between frames."""
    n_mels: int = 64
    """Mel bands."""
    n_mfcc: int = 40
    """Number of coefficients, from the zeroth; at most `n_mels`."""
    fmin: float = 20.0
    """Hz, lower edge of the lowest mel band."""
    fmax: float = 7_600.0
    """Hz, upper edge of the highest mel band; at most half the sample rate."""
    window: str = "hann"
    """One of hann, hamming, blackman, boxcar; periodic, as scipy's `fftbins=True`."""
    mel_scale: str = "slaney"
    """slaney (bands of equal area) or htk (bands of equal height)."""
    dct_norm: str = "ortho"
    """ortho, or none for the unscaled DCT-II."""
    log_floor: float = 1e-10
    """Smallest mel power; the logarithm is 10 log10(max(power, log_floor)), in dB."""
    preemphasis: float = 0.0
    """Coefficient a of y[n] = x[n] - a x[n-1], with x[-1] = 0; 0 turns it off."""
    deltas: int = 0
    """Number of derivatives that follow the coefficients: 0, 1 or 2."""
    center: bool = False
    """Whether frames are centred on their time by zero padding."""

    def __post_init__(self) -> None:
        _positive_ints(self, "sample_rate", "n_fft", "win_length", "hop_length", "n_mels", "n_mfcc")
        for name, most in _MOST.items():
            value = getattr(self, name)
            require(value <= most, name, value, f"at most {most}")
        require(self.win_length <= self.n_fft, "win_length", self.win_length, "at most n_fft")
        require(self.n_mfcc <= self.n_mels, "n_mfcc", self.n_mfcc, "at most n_mels")
        require(
            0 <= self.fmin < self.fmax <= self.sample_rate / 2,
            "fmin, fmax",
            (self.fmin, self.fmax),
            f"0 <= fmin < fmax <= {self.sample_rate / 2:g} Hz (half the sample rate)",
        )
        _one_of("window", self.window, WINDOWS)
        _one_of("mel_scale", self.mel_scale, MEL_SCALES)
        _one_of("dct_norm", self.dct_norm, DCT_NORMS)
        require(
            _MIN_FLOAT32 <= self.log_floor < math.inf,
            "log_floor",
            self.log_floor,
            "a power above 0, in single precision too",
        )
        require(0 <= self.preemphasis < 1, "preemphasis", self.preemphasis, "in [0, 1)")
        deltas_fit = type(self.deltas) is int and self.deltas in {0, 1, 2}
        require(deltas_fit, "deltas", self.deltas, "0, 1 or 2")
        require(isinstance(self.center, bool), "center", self.center, "True or False")

    @property
    def n_features(self) -> int:
        """Rows of the feature matrix: coefficients and their derivatives."""
        return self.n_mfcc * (1 + self.deltas)

    @property
    def window_offset(self) -> int:
        """Samples from the start of a frame to the start of the window in its middle."""
        return (self.n_fft - self.win_length) // 2

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of `n_samples` samples; 0 if too few for one frame."""
        padded = n_samples + (2 * (self.n_fft // 2) if self.center else 0)
        return self.n_whole_frames(padded) if n_samples else 0

    def n_whole_frames(self, n_samples: int) -> int:
        """Return the number of frames within `n_samples` samples, without padding."""
        return max(0, 1 + (n_samples - self.n_fft) // self.hop_length)

    def n_samples(self, n_frames: int) -> int:
        """Return the fewest samples that give `n_frames` frames, at least one."""
        padding = 2 * (self.n_fft // 2) if self.center else 0
        return max(1, (n_frames - 1) * self.hop_length + self.n_fft - padding)

    @classmethod
    def paper(cls) -> FrontendConfig:
        """Return the configuration of arXiv 2507.03251: 22,050 Hz, 2048/512, 20 coefficients.

        The paper's notebooks also clip at 80 dB below the recording's maximum, which no stream can
        know; that clipping is left out.
        """
        return cls(
            sample_rate=22_050,
            n_fft=2048,
            win_length=2048,
            hop_length=512,
            n_mels=128,
            n_mfcc=20,
            fmin=0.0,
            fmax=11_025.0,
            center=True,
        )


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each feature over the training frames.

    The network applies them as its first step: its input is the front end's output. They are stored
    for checks and for quantisation.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        require(len(self.mean) == len(self.std), "std", len(self.std), "as many as the means")
        require(
            len(self.std) > 0
            and all(math.isfinite(value) for value in self.mean + self.std)
            and min(self.std) > 0,
            "normalization",
            "values",
            "finite means and positive deviations",
        )


@dataclass(frozen=True)
class CorpusUse:
    """Training corpus, with its terms."""

    name: str
    n_clips: int
    """Clips in training; validation and test clips are not among them."""
    speakers: tuple[str, ...]
    licence: str
    citation: str


@dataclass(frozen=True)
class Accuracy:
    """Measured accuracy of this model, under a named protocol."""

    protocol: str
    """Protocol that separated training and test, e.g. `speaker-independent`."""
    split: str
    """`test`, or `validation`: the speakers that the epoch was chosen by, so slightly optimistic."""
    corpus: str
    speakers: tuple[str, ...]
    n_clips: int
    wa: float
    """Weighted accuracy: correct clips / clips, in [0, 1]."""
    uar: float
    """Unweighted average recall: the mean of the recalls of the classes, in [0, 1]."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Recall of each class that occurs, in [0, 1]."""

    def __post_init__(self) -> None:
        require(0 <= self.wa <= 1, "wa", self.wa, "in [0, 1]")
        require(0 <= self.uar <= 1, "uar", self.uar, "in [0, 1]")


@dataclass(frozen=True)
class HeldOut:
    """Figures of a head on held-out clips."""

    wa: float
    """Correct clips / clips, in [0, 1]."""
    uar: float
    """Mean recall of the classes that occur, in [0, 1]."""
    log_loss: float
    """Mean negative log likelihood of the clips, in nats."""
    ece: float
    """Expected calibration error, in [0, 1]."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Recall of each class that occurs, in [0, 1]."""

    def __post_init__(self) -> None:
        for name in ("wa", "uar", "ece"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "in [0, 1]")
        require(0 <= self.log_loss < math.inf, "log_loss", self.log_loss, "0 or more, finite")


@dataclass(frozen=True)
class Adaptation:
    """Adaptation of the last layer to labelled recordings of a site, by `edge-ser adapt`."""

    date: str
    """ISO 8601."""
    corpus: str
    """Name of the recordings; several are joined by commas."""
    n_clips: int
    """Audible clips that the head was fitted on."""
    seconds: float
    """Their total length."""
    speakers: tuple[str, ...]
    """Known speakers among them."""
    labels: Mapping[str, int]
    """Clips of each class that occurs."""
    balanced: bool
    """Whether all classes had equal weight; otherwise the shares of the clips are the site's prior."""
    protocol: str
    """Folds of the held-out clips, by speaker or by clip."""
    strength: float
    """Regularisation towards the previous head, chosen by cross-validation; large: little change."""
    temperature: float
    """Divisor of the fitted logits, already applied in the head."""
    before: HeldOut
    """Figures of the previous head on the held-out clips."""
    after: HeldOut
    """Figures of heads fitted without the clips they are measured on; the head in the file uses all."""
    data_sha256: str
    """Digest of the clips' names, labels and content."""
    base_sha256: str
    """Digest of the previous model file."""

    def __post_init__(self) -> None:
        require(self.n_clips > 0, "n_clips", self.n_clips, "above 0")
        require(0 < self.seconds < math.inf, "seconds", self.seconds, "above 0, finite")
        require(0 < self.strength < math.inf, "strength", self.strength, "above 0, finite")
        require(0 < self.temperature < math.inf, "temperature", self.temperature, "above 0, finite")


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to use and to assess a model.

    Raises:
        ConfigError: values that contradict each other.
    """

    name: str
    architecture: str
    n_parameters: int
    labels: tuple[str, ...]
    """Classes in the order of the logits."""
    input: str
    """`features` [batch, n_features, n_frames] or `waveform` [batch, n_samples]."""
    frontend: FrontendConfig
    normalization: Normalization
    window_s: float
    """Seconds of audio that are classified at once."""
    hop_s: float
    """Seconds between the starts of two windows."""
    min_window_s: float
    """Shortest audio that is classified at all, in seconds."""
    corpora: tuple[CorpusUse, ...]
    weights_licence: str
    accuracy: tuple[Accuracy, ...]
    seed: int
    created: str
    """ISO 8601 date of the training."""
    versions: Mapping[str, str] = field(default_factory=dict)
    temperature: float = 1.0
    """Divisor of the logits for calibrated probabilities (Guo et al. 2017, arXiv 1706.04599), already
    applied in the graph. 1: no calibration."""
    abstain_below: float = 0.0
    """Recommended probability of the label, in [0, 1), below which it should be rejected; 0: never.
    The runtime still reports the label with its probability."""
    prior: Mapping[str, float] = field(default_factory=dict)
    """Label → ratio that the prior odds were multiplied by, relative to equally frequent classes.
    Already applied in the logits; `run --prior` is applied in addition."""
    calibrated_on: str = ""
    """Data that temperature and threshold were fitted on; empty if unknown."""
    taught_by: tuple[str, ...] = ()
    """Teacher models of a distilled model, as name, source and licence; none is in the file."""
    augmented_with: tuple[str, ...] = ()
    """Folders of noise and of microphone impulse responses used for augmentation."""
    arousal: bool = False
    """Whether the graph has a second output `arousal`, float32 [batch, 1]: the calibrated probability,
    in [0, 1], that the speech is of high arousal as acted and labelled in the training corpora."""
    usual_outputs: tuple[float, ...] = ()
    """Mean outputs for neutral speech of the training voices [n_outputs]: the logits, then the logit of
    the arousal, ln(a / (1 - a)), if the model has that output. The excess of a baseline (the mean
    outputs for earlier speech of a voice or site) over them is subtracted from later outputs. Empty:
    the model takes no baseline."""
    baseline_default: str = "none"
    """Default kind of baseline: one of `BASELINE_WAYS`."""
    adapted: Adaptation | None = None
    """Adaptation of the last layer to a site; None for the model as trained."""
    format: int = CARD_FORMAT

    def __post_init__(self) -> None:
        require(self.format == CARD_FORMAT, "format", self.format, str(CARD_FORMAT))
        require(len(self.labels) >= 2, "labels", self.labels, "at least two classes")
        require(len(set(self.labels)) == len(self.labels), "labels", self.labels, "no name twice")
        _one_of("input", self.input, INPUTS)
        require(
            len(self.normalization.mean) == self.frontend.n_features,
            "normalization",
            len(self.normalization.mean),
            f"{self.frontend.n_features} values, one a feature",
        )
        require(0 < self.window_s < math.inf, "window_s", self.window_s, "above 0, in seconds")
        require(0 < self.hop_s < math.inf, "hop_s", self.hop_s, "above 0, in seconds")
        shortest = self.frontend.n_fft / self.frontend.sample_rate
        require(
            shortest <= self.min_window_s <= self.window_s,
            "min_window_s",
            self.min_window_s,
            f"from {shortest:g} (one frame) to window_s ({self.window_s:g})",
        )
        require(0 < self.temperature < math.inf, "temperature", self.temperature, "above 0, finite")
        require(0 <= self.abstain_below < 1, "abstain_below", self.abstain_below, "in [0, 1)")
        require(isinstance(self.arousal, bool), "arousal", self.arousal, "True or False")
        fits = len(self.usual_outputs) in {0, self.n_outputs}
        expected = f"{self.n_outputs} values, one an output, or none"
        require(fits, "usual_outputs", len(self.usual_outputs), expected)
        finite = all(math.isfinite(value) for value in self.usual_outputs)
        require(finite, "usual_outputs", self.usual_outputs, "finite values")
        _one_of("baseline_default", self.baseline_default, BASELINE_WAYS)
        fits = self.takes_baseline or self.baseline_default == "none"
        require(fits, "baseline_default", self.baseline_default, "none, for it takes no baseline")
        named = all(teacher.strip() for teacher in self.taught_by)
        require(named, "taught_by", self.taught_by, "a name for each")
        named = all(folder.strip() for folder in self.augmented_with)
        require(named, "augmented_with", self.augmented_with, "a name for each")

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a window: a logit for each class, and the arousal's."""
        return len(self.labels) + self.arousal

    @property
    def takes_baseline(self) -> bool:
        """Whether the model supports baselines of a voice or site."""
        return bool(self.usual_outputs)

    def to_json(self) -> str:
        """Return the card as one line of JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card written by `to_json`.

        Raises:
            ModelError: not JSON, another format version, or fields missing or unknown.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"the ModelCard is not JSON ({error}); export the model again"
            ) from None
        if not isinstance(data, dict) or "format" not in data:
            raise ModelError(
                "the metadata holds a card, but not an edge-ser ModelCard (it has no 'format'); "
                "export the model with `edge-ser export`"
            )
        if data["format"] != CARD_FORMAT:
            raise ModelError(
                f"the ModelCard has format {data['format']!r}, this edge-ser reads format "
                f"{CARD_FORMAT}; export the model again, or install the edge-ser that wrote it"
            )
        try:
            return build(cls, data, "ModelCard")
        except ConfigError as error:
            raise ModelError(f"{error}; export the model again") from None


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    require(value in choices, name, value, "one of " + ", ".join(choices))


def _positive_ints(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        require(
            isinstance(value, int) and not isinstance(value, bool) and value > 0,
            name,
            value,
            "a whole number above 0",
        )
