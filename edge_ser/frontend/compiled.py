"""Kernel of the front end in C: the same arithmetic as `in_numpy`, several frames at a time.

Three to four times as fast as NumPy with AVX-512 (`make bench`), and the same bits on every processor,
so that features on a device equal those in training. `compile.sh` builds it if the installation finds
a C compiler.
"""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser._util.hashing import bytes_digest
from edge_ser.card import FrontendConfig
from edge_ser.errors import EdgeSerError
from edge_ser.frontend.tables import Float32, Float64, dct_basis, mel_filterbank, window

HERE = Path(__file__).parent
SOURCES = ("kernel.c", "lanes.h")

INSTRUCTIONS = {8: "AVX-512", 4: "AVX2", 2: "SSE2" if platform.machine() == "x86_64" else "NEON"}
"""Number of frames in a vector → instruction set."""


class NotCompiled(EdgeSerError):
    """No compiled kernel for this machine or this front end; NumPy gives the same results."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found = found
        self.remedy = remedy


class _Tables(ctypes.Structure):
    """Struct `Tables` of kernel.c."""

    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in ("n_fft", "win_length", "hop_length", "n_mels", "n_mfcc")
        ),
        ("log_floor", ctypes.c_double),
        *(
            (name, ctypes.c_void_p)
            for name in ("window", "stages", "last", "places", "bands", "weights", "dct")
        ),
    )


def library_path() -> Path:
    """Return the path of the compiled kernel for this machine; the file may not exist."""
    return HERE / f"kernel-{platform.machine()}.so"


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Return the compiled kernel.

    Raises:
        NotCompiled: no kernel for this machine, or one compiled from another source.
    """
    path = library_path()
    remedy = f"install a C compiler and run: sh {HERE / 'compile.sh'}"
    if not path.exists():
        raise NotCompiled(f"{path.name} was not compiled", remedy)
    try:
        kernel = ctypes.CDLL(str(path))
        source = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(kernel, "edge_ser_source")))
    except (OSError, ValueError) as error:
        raise NotCompiled(f"{path.name} cannot be loaded ({error})", remedy) from error
    if source.decode() != source_digest():
        raise NotCompiled(f"{path.name} was made from another source", remedy)
    kernel.edge_ser_frames.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int32,
        ctypes.c_void_p,
    )
    return kernel


def source_digest() -> str:
    """Return the SHA-256 of the kernel's source, as compile.sh computes it."""
    return bytes_digest(b"".join((HERE / name).read_bytes() for name in SOURCES))


class CompiledKernel:
    """Compiled kernel with the interface of `in_numpy.NumpyKernel`.

    Args:
        config: the front end; `n_fft` must be a power of two.
        lanes: frames in a vector, 2, 4 or 8; by default the widest that the processor supports.

    Raises:
        NotCompiled: no kernel for this machine or for this `n_fft`.
        ConfigError: a mel band that no FFT bin falls into.
    """

    def __init__(self, config: FrontendConfig, *, lanes: int | None = None) -> None:
        if config.n_fft < 2 or config.n_fft & (config.n_fft - 1):
            raise NotCompiled(f"n_fft is {config.n_fft}", "the kernel takes powers of two")
        self.config = config
        self._frames = library().edge_ser_frames
        self.lanes = lanes or library().edge_ser_lanes()
        self.name = f"compiled, {INSTRUCTIONS[self.lanes]}"
        mel = mel_filterbank(config).astype(np.float64)
        used = [np.flatnonzero(band) for band in mel]
        self._arrays: dict[str, NDArray[Any]] = {
            # Half of it, and a sample more where the length is odd: samples are taken in pairs.
            "window": np.pad(window(config) / 2, (0, config.win_length % 2)),
            "stages": _stages(config.n_fft // 2),
            "last": _turns(np.arange(config.n_fft // 4 + 1) / config.n_fft),
            "places": np.argsort(_order(config.n_fft // 2)).astype(np.int32),
            "bands": np.array([(bins[0], bins[-1] + 1) for bins in used], dtype=np.int32),
            "weights": np.concatenate(
                [band[bins[0] : bins[-1] + 1] for band, bins in zip(mel, used, strict=True)]
            ),
            "dct": np.ascontiguousarray(dct_basis(config).T),
        }
        self._for_cepstra = self._tables(*self._arrays)
        self._for_log_mel = self._tables(*(name for name in self._arrays if name != "dct"))

    def _tables(self, *names: str) -> _Tables:
        config = self.config
        sizes = config.n_fft, config.win_length, config.hop_length, config.n_mels, config.n_mfcc
        addresses = {name: self._arrays[name].ctypes.data for name in names}
        return _Tables(*sizes, config.log_floor, **addresses)

    def log_mel(self, samples: Float32) -> Float32:
        """Return the log mel spectrum of float32 [n_samples] in dB, float32 [n_mels, n_frames]."""
        return self._run(samples, self._for_log_mel, self.config.n_mels)

    def cepstra(self, samples: Float32) -> Float32:
        """Return the MFCCs of float32 [n_samples], float32 [n_mfcc, n_frames]."""
        return self._run(samples, self._for_cepstra, self.config.n_mfcc)

    def _run(self, samples: Float32, tables: _Tables, n_rows: int) -> Float32:
        config = self.config
        n_frames = config.n_whole_frames(len(samples))
        result: Float32 = np.empty((n_rows, n_frames), dtype=np.float32)
        if n_frames:
            # Held by a name: C reads it.
            samples = np.ascontiguousarray(samples, dtype=np.float32)
            start = _address(samples) + config.window_offset * samples.itemsize
            if self._frames(ctypes.byref(tables), start, n_frames, self.lanes, _address(result)):
                raise MemoryError(f"no memory for the spectra of {self.lanes} frames")
        return result


def _address(array: Float32) -> int:
    # Half of what `array.ctypes.data` takes.
    address: int = array.__array_interface__["data"][0]
    return address


def _order(n_points: int) -> NDArray[np.int64]:
    """Return the frequency at each point after an in-place FFT (radix 4, last stage radix 2)."""
    if n_points <= 2:
        return np.arange(n_points)
    quarter = 4 * _order(n_points // 4)
    return np.concatenate([quarter + i for i in range(4)])


def _stages(n_points: int) -> Float64:
    """Return the twiddle factors of the radix-4 stages, concatenated."""
    stages = [np.empty(0)]
    size = n_points
    while size >= 4:
        stages.append(_turns(np.outer(np.arange(size // 4), (1, 2, 3)) / size))
        size //= 4
    return np.concatenate(stages)


def _turns(fractions: Float64) -> Float64:
    """Return interleaved cosine and sine of clockwise rotations, given as fractions of a turn."""
    angles = -2 * np.pi * fractions.ravel()
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).ravel()
