"""The compiled kernel beside NumPy's: the same features, the same bits everywhere, no byte too far."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from front_ends import CONFIGS, SIGNALS, compilable, synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from support import skip_or_fail

from edge_ser.card import FrontendConfig
from edge_ser.errors import ConfigError
from edge_ser.frontend import compiled, kernel_for
from edge_ser.frontend.compiled import INSTRUCTIONS, SOURCES, CompiledKernel, NotCompiled
from edge_ser.frontend.in_numpy import NumpyKernel

REAL = compiled.library_path()

COMPILABLE = {name: config for name, config in CONFIGS.items() if compilable(config)}

each_compilable = pytest.mark.parametrize("config", COMPILABLE.values(), ids=COMPILABLE)


@pytest.fixture(autouse=True)
def _one_for_this_machine():
    try:
        compiled.library()
    except NotCompiled as error:
        skip_or_fail(str(error))


needs_a_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="a kernel came with the package, and there is no C compiler"
)


def widths() -> list[int]:
    """Return the widths of vectors that this processor has."""
    return [lanes for lanes in INSTRUCTIONS if lanes <= compiled.library().edge_ser_lanes()]


# --- the same features --------------------------------------------------------------------


@pytest.mark.parametrize("kind", SIGNALS)
@each_compilable
def test_equals_numpy(config, kind):
    samples = synthetic(kind, config.sample_rate)
    ours, numpys = CompiledKernel(config), NumpyKernel(config)

    for got, expected in (
        (ours.log_mel(samples), numpys.log_mel(samples)),
        (ours.cepstra(samples), numpys.cepstra(samples)),
    ):
        assert (got.dtype, got.shape) == (np.float32, expected.shape)
        # NumPy's mel spectra and logarithms are in single precision, ours are rounded once.
        last_place = np.spacing(np.abs(expected).max())
        np.testing.assert_allclose(got, expected, rtol=0, atol=3 * last_place)


@settings(max_examples=100, deadline=None)
@given(
    exponent=st.integers(2, 14),
    share=st.floats(0.01, 1),
    hop_length=st.integers(1, 700),
    n_frames=st.integers(0, 20),
    n_coefficients=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_equals_numpy_for_any_power_of_two(exponent, share, hop_length, n_frames, n_coefficients):
    n_fft = 2**exponent
    config = FrontendConfig(
        n_fft=n_fft,
        win_length=max(2, round(share * n_fft)),
        hop_length=hop_length,
        n_mels=max(n_coefficients) if n_fft >= 512 else 1,
        n_mfcc=min(n_coefficients) if n_fft >= 512 else 1,
        fmin=0.0,
        fmax=8_000.0,
        mel_scale="htk",
    )
    n_samples = n_fft + (n_frames - 1) * hop_length if n_frames else n_fft - 1
    samples = np.random.default_rng(n_samples).normal(0, 0.1, n_samples).astype(np.float32)

    got, expected = CompiledKernel(config).cepstra(samples), NumpyKernel(config).cepstra(samples)

    assert got.shape == expected.shape == (config.n_mfcc, n_frames)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_give_nan(wrong):
    """In its own frame alone: the others are computed beside it."""
    config = FrontendConfig()
    samples = synthetic("noise", 16_000)
    right = CompiledKernel(config).cepstra(samples)
    samples[1_000] = wrong

    got = CompiledKernel(config).cepstra(samples)

    affected = range((1_000 - 456) // 160 + 1, (1_000 - 56) // 160 + 1)
    others = np.delete(np.arange(got.shape[1]), affected)
    assert np.isnan(got[:, affected]).all()
    np.testing.assert_array_equal(got[:, others], right[:, others])


@pytest.mark.parametrize("exponent", [-300, -100, -37, -1, 0, 1, 10, 60])
def test_decibels_are_exact_over_the_whole_range(exponent):
    """A frame of ones through a boxcar has a power of n_fft² in its lowest bin alone."""
    config = FrontendConfig(
        n_fft=8, win_length=8, hop_length=8, window="boxcar", n_mels=1, n_mfcc=1, log_floor=1.2e-38
    )
    amplitude = np.float32(2.0 ** (exponent / 10))
    samples = np.tile(amplitude * np.array([1, -1, 1, 1, -1, 1, -1, -1], np.float32), 5)

    got, expected = CompiledKernel(config).log_mel(samples), NumpyKernel(config).log_mel(samples)

    np.testing.assert_allclose(got, expected, rtol=2e-7, atol=2e-6)


# --- the same bits ------------------------------------------------------------------------


@each_compilable
def test_all_widths_of_vectors_give_the_same_bits(config):
    samples = synthetic("chirp", config.sample_rate)
    narrow = CompiledKernel(config, lanes=2)
    assert len(widths()) >= 1
    for lanes in widths():
        wide = CompiledKernel(config, lanes=lanes)
        np.testing.assert_array_equal(wide.log_mel(samples), narrow.log_mel(samples))
        np.testing.assert_array_equal(wide.cepstra(samples), narrow.cepstra(samples))


def test_a_frame_is_the_same_whatever_comes_with_it():
    config = FrontendConfig()
    samples = synthetic("noise", 16_000)
    kernel = CompiledKernel(config)
    whole = kernel.cepstra(samples)
    for first, n in ((0, 1), (3, 2), (5, 7), (8, 9), (11, 26)):
        start = first * config.hop_length
        stop = start + config.n_fft + (n - 1) * config.hop_length
        np.testing.assert_array_equal(
            kernel.cepstra(samples[start:stop]), whole[:, first : first + n]
        )


def test_samples_that_lie_apart_are_the_same():
    config = FrontendConfig()
    samples = synthetic("noise", 16_000)
    apart = np.repeat(samples, 2)[::2]
    assert not apart.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(
        CompiledKernel(config).cepstra(apart), CompiledKernel(config).cepstra(samples)
    )


# --- memory -------------------------------------------------------------------------------

BESIDE_A_WALL = """
import ctypes, mmap, random
import numpy as np
from edge_ser.card import FrontendConfig
from edge_ser.frontend.compiled import INSTRUCTIONS, CompiledKernel, library

n_bytes = 1 << 20
memory = mmap.mmap(-1, n_bytes + 2 * mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
protect = ctypes.CDLL(None, use_errno=True).mprotect
for wall in (start, start + mmap.PAGESIZE + n_bytes):
    assert protect(ctypes.c_void_p(wall), mmap.PAGESIZE, 0) == 0
room = np.frombuffer(memory, np.float32, n_bytes // 4, mmap.PAGESIZE)
draw = random.Random(0)
for turn in range(300):
    n_fft = 2 ** draw.randint(2, 12)
    config = FrontendConfig(
        n_fft=n_fft, win_length=draw.randint(2, n_fft), hop_length=draw.randint(1, 500),
        n_mels=1, n_mfcc=1, fmin=0.0, fmax=8_000.0,
    )
    n_samples = draw.randint(n_fft, min(len(room), n_fft + 20 * config.hop_length))
    lanes = draw.choice([n for n in INSTRUCTIONS if n <= library().edge_ser_lanes()])
    kernel = CompiledKernel(config, lanes=lanes)
    at_the_end, at_the_start = kernel.cepstra(room[-n_samples:]), kernel.cepstra(room[:n_samples])
    assert at_the_end.shape == at_the_start.shape == (1, config.n_frames(n_samples))
print("intact")
"""


def test_nothing_is_read_beside_the_samples():
    """Memory that must not be touched lies right before and behind them: a step too far kills."""
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_A_WALL], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "intact\n"), done.stderr


@needs_a_compiler
def test_the_sanitizers_find_nothing(tmp_path):
    """Beyond the samples there is the kernel's own memory: results, spectra and tables."""
    main = tmp_path / "main.c"
    main.write_text(_as_a_program())
    done = subprocess.run(
        [
            *("cc", "-std=c11", "-g", "-O1", "-ffp-contract=off", '-DSOURCE=""'),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-static-libasan"),
            *("-I", str(compiled.HERE), "-o", str(tmp_path / "program"), str(main)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [str(tmp_path / "program")], capture_output=True, text=True, check=False, env={}
    )
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr


def _as_a_program() -> str:
    """Return C that runs the kernel, each width, on tables whose ends are the ends of their memory."""
    lines = ['#include "kernel.c"', "#include <stdio.h>", "int main(void) {"]
    for place, config in enumerate(COMPILABLE.values()):
        kernel = CompiledKernel(config)
        n_frames = 11
        n_samples = config.win_length + config.win_length % 2 + (n_frames - 1) * config.hop_length
        lines.append("{ Tables t = {0};")
        names = ("n_fft", "win_length", "hop_length", "n_mels", "n_mfcc", "log_floor")
        lines += [f"t.{name} = {getattr(config, name)};" for name in names]
        for name, array in kernel._arrays.items():
            kind = "double" if array.dtype == np.float64 else "int32_t"
            values = ",".join(map(repr, array.ravel().tolist()))
            lines += [
                f"static {kind} {name}{place}[] = {{{values}}};",
                f"t.{name} = {name}{place};",
            ]
        lines.append(
            f"float *samples = calloc({n_samples}, 4);"
            f"for (int n = 0; n < {n_samples}; n++) samples[n] = (float)(n % 37) / 37;"
            f"for (int lanes = 2; lanes <= edge_ser_lanes(); lanes *= 2) {{"
            f"float *result = malloc({4 * config.n_mfcc * n_frames});"
            f"if (edge_ser_frames(&t, samples, {n_frames}, lanes, result)) return 1; free(result);"
            f"result = malloc({4 * config.n_mels * n_frames}); const double *dct = t.dct; t.dct = NULL;"
            f"if (edge_ser_frames(&t, samples, {n_frames}, lanes, result)) return 1; free(result);"
            "t.dct = dct; } free(samples); }"
        )
    return "\n".join([*lines, 'puts("clean"); return 0; }'])


# --- where there is no kernel -------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Let the kernel be looked for in an empty folder, with its source."""
    for name in (*SOURCES, "compile.sh"):
        shutil.copy(compiled.HERE / name, tmp_path)
    monkeypatch.setattr(compiled, "HERE", tmp_path)
    for cached in (compiled.library, kernel_for):
        cached.cache_clear()
    yield tmp_path
    for cached in (compiled.library, kernel_for):
        cached.cache_clear()


def test_without_one_numpy_computes(elsewhere):
    assert isinstance(kernel_for(FrontendConfig()), NumpyKernel)
    with pytest.raises(
        NotCompiled, match=rf"^{compiled.library_path().name}\b.*sh {elsewhere}/compile\.sh$"
    ):
        CompiledKernel(FrontendConfig())


@needs_a_compiler
def test_the_script_compiles_one(elsewhere):
    subprocess.run(["sh", elsewhere / "compile.sh"], check=True)
    samples = synthetic("chirp", 16_000)

    got = CompiledKernel(FrontendConfig()).cepstra(samples)

    expected = NumpyKernel(FrontendConfig()).cepstra(samples)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=2e-5)
    assert [path.suffix for path in elsewhere.iterdir()].count(".so") == 1


def test_one_of_another_source_is_not_used(elsewhere):
    shutil.copy(REAL, elsewhere)
    (elsewhere / "lanes.h").write_text("/* changed */")
    with pytest.raises(NotCompiled, match=rf"^{compiled.library_path().name} .*\bsource\b"):
        CompiledKernel(FrontendConfig())
    assert isinstance(kernel_for(FrontendConfig()), NumpyKernel)


@pytest.mark.parametrize("content", [b"", b"\x7fELF and no more"])
def test_a_damaged_one_is_not_used(elsewhere, content):
    compiled.library_path().write_bytes(content)
    with pytest.raises(NotCompiled, match=rf"^{compiled.library_path().name} .*too short"):
        CompiledKernel(FrontendConfig())
    assert isinstance(kernel_for(FrontendConfig()), NumpyKernel)


def test_other_lengths_than_powers_of_two_are_numpys():
    config = CONFIGS["odd"]
    assert isinstance(kernel_for(config), NumpyKernel)
    with pytest.raises(NotCompiled, match=r"\bn_fft\b.*\b511\b"):
        CompiledKernel(config)


@pytest.mark.parametrize("kernel", [CompiledKernel, NumpyKernel])
def test_empty_bands_are_refused_by_both(kernel):
    with pytest.raises(ConfigError, match="hold no FFT bin"):
        kernel(FrontendConfig(n_mels=200))
