"""Kernel of the front end in NumPy: the reference, and the fallback without a compiled kernel.

The FFT runs in double precision, as in librosa: it costs nothing in NumPy, and single precision would
hide the side lobes of pure tones. The DCT sums in double precision too, because its terms cancel. The
result is float32.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import FrontendConfig
from edge_ser.frontend.tables import Float32, Float64, dct_basis, mel_filterbank, window

Complex128 = NDArray[np.complex128]

_RFFT_OUT = np.lib.NumpyVersion(np.__version__) >= "2.0.0"

_BLOCK = 150
"""Frames transformed at once, half a window of 3 s, so that their spectra stay in the cache."""

_MEL_PARTS = 4
"""Parts of the mel filter bank: bands use few bins each, so four products need a quarter of the work."""

_SINGLE_THREAD_MNK = 4 * 65_536
"""Multiplications above which OpenBLAS uses threads. For matrices of this size threads only wait for
each other: 20 times slower when another program uses the cores."""


@dataclass(frozen=True)
class _Scratch:
    """Buffers for _BLOCK frames, reused between calls.

    The system maps large allocations anew each time, and the first access to new pages can take longer
    than the computation.
    """

    padded: Float64
    """Windows with zero padding."""
    spectrum: Complex128
    squares: Float32
    power: Float32


_kept = threading.local()


class NumpyKernel:
    """Log mel spectra and cepstra of the complete frames of some samples.

    Raises:
        ConfigError: a mel band that no FFT bin falls into.
    """

    name = "NumPy"

    def __init__(self, config: FrontendConfig) -> None:
        self.config = config
        mel = mel_filterbank(config)
        used = np.flatnonzero(mel.any(axis=0))
        self._window = window(config)
        # Real and imaginary parts, in turns, of the FFT bins that any mel band uses.
        self._parts = slice(2 * int(used[0]), 2 * int(used[-1]) + 2)
        self._mel = tuple(_in_parts(mel[:, used[0] : used[-1] + 1]))
        self._dct = np.ascontiguousarray(dct_basis(config).T)

    def log_mel(self, samples: Float32) -> Float32:
        """Return the log mel spectrum of float32 [n_samples] in dB, float32 [n_mels, n_frames]."""
        config = self.config
        n_frames = config.n_whole_frames(len(samples))
        result: Float32 = np.empty((n_frames, config.n_mels), dtype=np.float32)
        if n_frames == 0:
            return np.asarray(result.T)
        # The FFT of the window alone, zero-padded on the right, has the same power as that of the whole
        # frame with the window in its middle: only the phase differs. Padding beforehand takes two
        # thirds of the time that `rfft` takes when it has to pad.
        frames = _overlapping(samples[config.window_offset :], config.win_length, config.hop_length)
        scratch = _scratch(config, self._parts)
        for start in range(0, n_frames, _BLOCK):
            stop = min(start + _BLOCK, n_frames)
            block = scratch.padded[: stop - start]
            np.multiply(frames[start:stop], self._window, out=block[:, : config.win_length])
            spectrum = _rfft(block, scratch.spectrum[: stop - start])
            squares = scratch.squares[: stop - start]
            np.copyto(squares, spectrum.view(np.float64)[:, self._parts], casting="same_kind")
            squares *= squares
            power = scratch.power[: stop - start]
            np.add(squares[:, 0::2], squares[:, 1::2], out=power)
            for bins, bands, table in self._mel:
                _matmul(power[:, bins], table, result[start:stop, bands])
        np.maximum(result, np.float32(config.log_floor), out=result)
        np.log10(result, out=result)
        result *= np.float32(10.0)
        return np.asarray(result.T)

    def cepstra(self, samples: Float32) -> Float32:
        """Return the MFCCs of float32 [n_samples], float32 [n_mfcc, n_frames]."""
        log_mels = self.log_mel(samples)
        cepstra = np.empty((log_mels.shape[1], self.config.n_mfcc))
        _matmul(log_mels.T.astype(np.float64), self._dct, cepstra)
        return np.ascontiguousarray(cepstra.T, dtype=np.float32)


def _in_parts(mel: Float32) -> Iterator[tuple[slice, slice, Float32]]:
    """Yield parts of a filter bank [n_mels, n_bins]: slices of bins and bands, weights [bins, bands]."""
    for bands in np.array_split(np.arange(len(mel)), min(_MEL_PARTS, len(mel))):
        rows = slice(int(bands[0]), int(bands[-1]) + 1)
        used = np.flatnonzero(mel[rows].any(axis=0))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        yield bins, rows, np.ascontiguousarray(mel[rows, bins].T)


def _rfft(block: Float64, result: Complex128) -> Complex128:
    """Return the FFT of real rows, in `result` if NumPy supports it (2.0 and later)."""
    if _RFFT_OUT:
        return np.fft.rfft(block, out=result)
    return np.fft.rfft(block)


def _scratch(config: FrontendConfig, parts: slice) -> _Scratch:
    """Return this thread's buffers for frames of this size; buffers for other sizes are freed."""
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


def _matmul(rows: NDArray[Any], table: NDArray[Any], result: NDArray[Any]) -> None:
    """Write `rows @ table` to `result` by products too small for OpenBLAS to thread."""
    at_once = max(1, _SINGLE_THREAD_MNK // table.size)
    if len(rows) <= at_once:
        np.matmul(rows, table, out=result)
        return
    n_complete = len(rows) // at_once * at_once
    if n_complete:
        stacked = rows[:n_complete].reshape(-1, at_once, table.shape[0])
        np.matmul(stacked, table, out=result[:n_complete].reshape(-1, at_once, table.shape[1]))
    if n_complete < len(rows):
        np.matmul(rows[n_complete:], table, out=result[n_complete:])
