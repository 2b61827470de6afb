"""The one front end: MFCCs in NumPy, offline and streaming, by the same kernel.

Training, calibration, the device and the in-graph form (`build.frontend_graph`) all take their
tables from here. The FFT runs in double precision, as librosa's does: it costs nothing in NumPy, and
single precision would bury the side lobes of pure tones. The DCT sums in double precision too,
because its terms cancel. What comes out is float32.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import FrontendConfig
from edge_ser.errors import AudioError, ConfigError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Complex128 = NDArray[np.complex128]

_RFFT_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

DELTA_WIDTH = 9
"""Frames over which a derivative is fitted, librosa's default."""

_BLOCK = 150
"""Frames transformed at once, half a window of 3 s: their spectra stay in the cache."""

_MEL_PARTS = 4
"""Low bands use few bins, and high ones use others: four products, a quarter of the work of one."""

_SINGLE_THREAD_MNK = 4 * 65_536
"""OpenBLAS starts its threads for products with more multiplications than this. For matrices this
small they only wait for each other: 20 times slower when another program uses the cores."""


def window(config: FrontendConfig) -> Float64:
    """Return the analysis window, shape [win_length], periodic (scipy `get_window`)."""
    phase = 2 * np.pi * np.arange(config.win_length) / config.win_length
    cosines = {
        "hann": (0.5, 0.5),
        "hamming": (0.54, 0.46),
        "blackman": (0.42, 0.5, 0.08),
        "boxcar": (1.0,),
    }[config.window]
    terms = ((-1) ** k * a * np.cos(k * phase) for k, a in enumerate(cosines))
    return np.asarray(sum(terms), dtype=np.float64)


def hz_to_mel(frequency: Float64, scale: str) -> Float64:
    """Convert Hz to mel: `htk` by O'Shaughnessy's formula, `slaney` as in the Auditory Toolbox."""
    frequency = np.asarray(frequency, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + frequency / 700.0))
    linear = frequency * 3.0 / 200.0
    with np.errstate(divide="ignore"):
        logarithmic = 15.0 + 27.0 * np.log(frequency / 1000.0) / np.log(6.4)
    return np.where(frequency < 1000.0, linear, logarithmic)


def mel_to_hz(mel: Float64, scale: str) -> Float64:
    """Invert `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def mel_edges(config: FrontendConfig) -> Float64:
    """Return the corner frequencies of the bands in Hz, shape [n_mels + 2]."""
    low, high = hz_to_mel(np.array([config.fmin, config.fmax]), config.mel_scale)
    return mel_to_hz(np.linspace(low, high, config.n_mels + 2), config.mel_scale)


def mel_filterbank(config: FrontendConfig) -> Float32:
    """Return triangular mel bands over FFT bins, shape [n_mels, 1 + n_fft // 2].

    Equal to `librosa.filters.mel`: Slaney's bands have unit area, HTK's unit height (`norm=None`).

    Raises:
        ConfigError: a band that no FFT bin falls into.
    """
    edges = mel_edges(config)
    bins = np.arange(1 + config.n_fft // 2) * (config.sample_rate / config.n_fft)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    bands = np.maximum(0.0, np.minimum(rising, falling))
    if config.mel_scale == "slaney":
        bands *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    if empty := int(np.sum(bands.max(axis=1) == 0)):
        raise ConfigError(
            f"{empty} of {config.n_mels} mel bands hold no FFT bin at n_fft {config.n_fft} and "
            f"{config.sample_rate} Hz; take fewer n_mels or a larger n_fft"
        )
    return bands.astype(np.float32)


def dct_basis(config: FrontendConfig) -> Float64:
    """Return the DCT-II, shape [n_mfcc, n_mels]; equal to `scipy.fft.dct(type=2)`."""
    k = np.arange(config.n_mfcc)[:, None]
    m = np.arange(config.n_mels)[None, :]
    basis = 2.0 * np.cos(np.pi * k * (2 * m + 1) / (2 * config.n_mels))
    if config.dct_norm == "ortho":
        basis *= np.where(k == 0, np.sqrt(0.25 / config.n_mels), np.sqrt(0.5 / config.n_mels))
    return basis


def delta_kernels(order: int) -> Float32:
    """Return the FIR kernels of derivatives 1 to `order`, shape [order, DELTA_WIDTH].

    Savitzky-Golay: the k-th derivative of the polynomial of degree k fitted to DELTA_WIDTH frames,
    as `librosa.feature.delta(order=k, mode="nearest")`.
    """
    n = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    kernels = np.zeros((order, DELTA_WIDTH))
    factorial = 1
    for k in range(1, order + 1):
        factorial *= k
        kernels[k - 1] = factorial * np.linalg.pinv(np.vander(n, k + 1, increasing=True))[k]
    return kernels.astype(np.float32)


@dataclass(frozen=True)
class _Tables:
    window: Float64
    offset: int
    """Samples from the start of an FFT frame to the start of the window in it."""
    parts: slice
    """Real and imaginary parts, in turns, of the FFT bins that any mel band uses."""
    mel: tuple[tuple[slice, slice, Float32], ...]
    """Bins that neighbouring bands use, these bands, and their weights [bins, bands]."""
    dct: Float64
    """[n_mels, n_mfcc]."""
    deltas: Float32


@dataclass(frozen=True)
class _Scratch:
    """Memory for _BLOCK frames, kept from call to call.

    The system maps what is as large as this anew for each allocation, and to touch it for the first
    time can take longer than all that is computed in it.
    """

    padded: Float64
    """Windows, and the zeros behind them."""
    spectrum: Complex128
    squares: Float32
    power: Float32


_kept = threading.local()


@lru_cache(maxsize=16)
def _tables(config: FrontendConfig) -> _Tables:
    mel = mel_filterbank(config)
    used = np.flatnonzero(mel.any(axis=0))
    return _Tables(
        window=window(config),
        offset=(config.n_fft - config.win_length) // 2,
        parts=slice(2 * int(used[0]), 2 * int(used[-1]) + 2),
        mel=tuple(_in_parts(mel[:, used[0] : used[-1] + 1])),
        dct=np.ascontiguousarray(dct_basis(config).T),
        deltas=delta_kernels(config.deltas),
    )


def _in_parts(mel: Float32) -> Iterator[tuple[slice, slice, Float32]]:
    """Yield the bins, the bands and the weights of parts of a filter bank [n_mels, n_bins]."""
    for bands in np.array_split(np.arange(len(mel)), min(_MEL_PARTS, len(mel))):
        rows = slice(int(bands[0]), int(bands[-1]) + 1)
        used = np.flatnonzero(mel[rows].any(axis=0))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        yield bins, rows, np.ascontiguousarray(mel[rows, bins].T)


def mfcc(samples: Float32, config: FrontendConfig) -> Float32:
    """Return the MFCCs of a whole recording.

    Args:
        samples: float32 [n_samples] in [-1, 1] at `config.sample_rate`.
        config: the front end.

    Returns:
        float32 [n_features, n_frames]; row 0 is the zeroth coefficient, in dB.

    Raises:
        AudioError: fewer samples than one frame needs.

    Equal to `librosa.feature.mfcc` on `power_to_db(melspectrogram(...), amin=log_floor,
    top_db=None)` with the same settings.
    """
    static = _cepstrum(log_mel(samples, config), config)
    return _append_deltas(_edge_pad(static), config) if config.deltas else static


def log_mel(samples: Float32, config: FrontendConfig) -> Float32:
    """Return the log mel spectrum in dB, float32 [n_mels, n_frames]; arguments as for `mfcc`."""
    if config.n_frames(len(samples)) == 0:
        raise AudioError(
            f"the audio holds {len(samples)} samples, one frame needs {config.n_fft} at "
            f"{config.sample_rate} Hz; give it longer audio"
        )
    samples = _preemphasize(samples, 0.0, config)
    if config.center:
        samples = np.pad(samples, config.n_fft // 2)
    return _log_mel_frames(samples, config)


def _preemphasize(samples: Float32, before: float, config: FrontendConfig) -> Float32:
    samples = np.asarray(samples, dtype=np.float32)
    if config.preemphasis == 0 or len(samples) == 0:
        return samples
    shifted = np.concatenate([np.array([before], np.float32), samples[:-1]])
    return np.asarray(samples - np.float32(config.preemphasis) * shifted, dtype=np.float32)


def _log_mel_frames(samples: Float32, config: FrontendConfig) -> Float32:
    """Return all complete frames of `samples`, [n_mels, n_frames], n_frames possibly 0."""
    tables = _tables(config)
    n_frames = max(0, 1 + (len(samples) - config.n_fft) // config.hop_length)
    result: Float32 = np.empty((n_frames, config.n_mels), dtype=np.float32)
    if n_frames == 0:
        return np.asarray(result.T)
    # The FFT of the window alone, zero-padded on the right, has the same power as that of the whole
    # frame with the window in its middle: only the phase differs. Padding beforehand takes two thirds
    # of the time that `rfft` takes when it has to pad.
    frames = _overlapping(samples[tables.offset :], config.win_length, config.hop_length)
    scratch = _scratch(config, tables.parts)
    for start in range(0, n_frames, _BLOCK):
        stop = min(start + _BLOCK, n_frames)
        block = scratch.padded[: stop - start]
        np.multiply(frames[start:stop], tables.window, out=block[:, : config.win_length])
        spectrum = _rfft(block, scratch.spectrum[: stop - start])
        squares = scratch.squares[: stop - start]
        np.copyto(squares, spectrum.view(np.float64)[:, tables.parts], casting="same_kind")
        squares *= squares
        power = scratch.power[: stop - start]
        np.add(squares[:, 0::2], squares[:, 1::2], out=power)
        for bins, bands, table in tables.mel:
            _matmul(power[:, bins], table, result[start:stop, bands])
    np.maximum(result, np.float32(config.log_floor), out=result)
    np.log10(result, out=result)
    result *= np.float32(10.0)
    return np.asarray(result.T)


def _rfft(block: Float64, result: Complex128) -> Complex128:
    """Return the FFT of real rows, in `result` where NumPy can (2.0 and later)."""
    if _RFFT_OUT:
        return np.fft.rfft(block, out=result)
    return np.fft.rfft(block)


def _scratch(config: FrontendConfig, parts: slice) -> _Scratch:
    """Return this thread's memory for frames of this size; that for others is given back."""
    n_parts = parts.stop - parts.start
    size = (config.n_fft, config.win_length, n_parts)
    if getattr(_kept, "size", None) != size:
        _kept.scratch = _Scratch(
            padded=np.zeros((_BLOCK, config.n_fft)),
            spectrum=np.empty((_BLOCK, 1 + config.n_fft // 2), dtype=np.complex128),
            squares=np.empty((_BLOCK, n_parts), dtype=np.float32),
            power=np.empty((_BLOCK, n_parts // 2), dtype=np.float32),
        )
        _kept.size = size
    scratch: _Scratch = _kept.scratch
    return scratch


def _overlapping(samples: Float32, length: int, step: int) -> Float32:
    """Return a view of every `length` samples, `step` apart, that lie within `samples`."""
    samples = np.ascontiguousarray(samples)
    strides = (step * samples.itemsize, samples.itemsize)
    shape = (1 + (len(samples) - length) // step, length)
    # A fifteenth of what sliding_window_view takes, and it looks at the bounds as well.
    view: Float32 = np.ndarray(shape, np.float32, samples, strides=strides)
    return view


def _cepstrum(log_mels: Float32, config: FrontendConfig) -> Float32:
    cepstra = np.empty((log_mels.shape[1], config.n_mfcc))
    _matmul(log_mels.T.astype(np.float64), _tables(config).dct, cepstra)
    return np.ascontiguousarray(cepstra.T, dtype=np.float32)


def _matmul(rows: NDArray[Any], table: NDArray[Any], result: NDArray[Any]) -> None:
    """Write `rows @ table` to `result` by products too small for OpenBLAS to thread."""
    at_once = max(1, _SINGLE_THREAD_MNK // table.size)
    if len(rows) <= at_once:
        np.matmul(rows, table, out=result)
        return
    whole = len(rows) // at_once * at_once
    if whole:
        stacked = rows[:whole].reshape(-1, at_once, table.shape[0])
        np.matmul(stacked, table, out=result[:whole].reshape(-1, at_once, table.shape[1]))
    if whole < len(rows):
        np.matmul(rows[whole:], table, out=result[whole:])


def _edge_pad(static: Float32) -> Float32:
    """Repeat the first and the last frame, so that derivatives exist everywhere."""
    half = DELTA_WIDTH // 2
    return np.asarray(np.pad(static, ((0, 0), (half, half)), mode="edge"))


def _append_deltas(padded: Float32, config: FrontendConfig) -> Float32:
    """Return coefficients and derivatives of all frames that have DELTA_WIDTH // 2 neighbours."""
    half = DELTA_WIDTH // 2
    n_frames = padded.shape[1] - 2 * half
    views = np.lib.stride_tricks.sliding_window_view(padded, DELTA_WIDTH, axis=1)
    rows = [padded[:, half : half + n_frames]]
    rows += [views @ kernel for kernel in _tables(config).deltas]
    return np.concatenate(rows)


class StreamingMfcc:
    """MFCCs of a stream: push samples in pieces of any size, get the frames that became complete.

    All that `push` and `flush` return, put together, equals `mfcc` of the whole. With derivatives
    the frames come `DELTA_WIDTH // 2` hops later, with `center=True` `n_fft // 2` samples later.
    """

    def __init__(self, config: FrontendConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        lead = self.config.n_fft // 2 if self.config.center else 0
        self._samples: Float32 = np.zeros(lead, dtype=np.float32)
        self._gap = 0
        self._heard = False
        self._last = 0.0
        self._static: Float32 | None = None

    def push(self, samples: Float32) -> Float32:
        """Take float32 [n_samples] and return the new frames, [n_features, n_new]."""
        emphasized = _preemphasize(samples, self._last, self.config)
        if len(samples):
            self._last = float(samples[-1])
            self._heard = True
        return self._with_deltas(self._frames(emphasized))

    def flush(self) -> Float32:
        """End the stream: return the frames that waited for more audio, and reset."""
        tail = self.config.n_fft // 2 if self.config.center and self._heard else 0
        static = self._frames(np.zeros(tail, dtype=np.float32))
        last = self._with_deltas(static)
        if self.config.deltas and self._static is not None:
            half = DELTA_WIDTH // 2
            ended = np.pad(self._static, ((0, 0), (0, half)), mode="edge")
            last = np.concatenate([last, _append_deltas(ended, self.config)], axis=1)
        self.reset()
        return last

    def _frames(self, emphasized: Float32) -> Float32:
        """Return the coefficients of the frames that `emphasized` completes."""
        config = self.config
        # Where the hop is longer than a frame, what lies between two frames is passed over.
        buffer = np.concatenate([self._samples, emphasized[self._gap :]])
        self._gap = max(0, self._gap - len(emphasized))
        log_mels = _log_mel_frames(buffer, config)
        done = log_mels.shape[1] * config.hop_length
        self._gap += max(0, done - len(buffer))
        self._samples = buffer[done:].copy()
        return _cepstrum(log_mels, config)

    def _with_deltas(self, static: Float32) -> Float32:
        if not self.config.deltas:
            return static
        half = DELTA_WIDTH // 2
        if self._static is None:
            if static.shape[1] == 0:
                return np.empty((self.config.n_features, 0), dtype=np.float32)
            self._static = np.repeat(static[:, :1], half, axis=1)
        buffer = np.concatenate([self._static, static], axis=1)
        self._static = buffer[:, -2 * half :]
        if buffer.shape[1] <= 2 * half:
            return np.empty((self.config.n_features, 0), dtype=np.float32)
        return _append_deltas(buffer, self.config)
