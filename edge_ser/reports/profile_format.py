"""Formatting of a profile's figures, the same in the terminal and on the page."""

from __future__ import annotations

import math

from edge_ser.machine.clocks import Clock
from edge_ser.machine.facts import MachineFacts
from edge_ser.machine.thermal import Thermal
from edge_ser.profiling.arrival import ARRIVALS
from edge_ser.profiling.cold_start import ColdStart
from edge_ser.profiling.report import Accuracy, ModelProfile, Profile
from edge_ser.profiling.statistics import Growth
from edge_ser.reports.format import MISSING, percent

STAGE_NAMES = {"vad": "voice detector", "to_device": "host → device", "to_host": "device → host"}
"""Stage → name in tables, for names that are not self-explanatory."""

_MIB = 1 << 20

_BUSY_PER_S = 5.0
"""Involuntary context switches per second above which the processor counts as shared."""


def stage(name: str) -> str:
    """Return the name of a stage in tables."""
    return STAGE_NAMES.get(name, name)


def ms(value: float | None) -> str:
    """Return milliseconds with three significant digits, without the unit."""
    if value is None:
        return MISSING
    if abs(value) >= 100:
        return f"{value:.0f}"
    return (
        f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
        if abs(value) >= 1
        else f"{value:.3f}"
    )


def decisions(model: ModelProfile) -> str:
    """Return the basis of the figures: number of decisions, unit and front end."""
    return f"{model.n_decisions:,} decisions, times in ms; features {model.front_end}"


def mib(n_bytes: float) -> str:
    """Return bytes as `86.1 MiB`."""
    return f"{n_bytes / _MIB:.1f} MiB"


def hertz(value: float) -> str:
    """Return a rate as `1.51 GHz` or `625 MHz`."""
    return f"{value / 1e9:.2f} GHz" if value >= 1e9 else f"{value / 1e6:.0f} MHz"


def grown(growth: Growth | None) -> str:
    """Return whether memory grew."""
    if growth is None:
        return "the run was too short to measure growth"
    change = f"{growth.growth_bytes / _MIB:+.1f} MiB".replace("-", "−")
    return f"GROWS: {change} over the run" if growth.grows else f"does not grow ({change})"


def listened(profile: Profile) -> str:
    """Return a description of the audio, with its share of speech."""
    sound = profile.setting.sound
    text = f"{sound.name}, {sound.sample_rate:,} Hz"
    if sound.length_s is not None:
        text += f", {sound.length_s:.1f} s over and over"
    if sound.speech is not None:
        text += f", {percent(sound.speech)} of it speech to the detector"
    return text


def classified(profile: Profile) -> str:
    """Return a description of the classified windows."""
    setting = profile.setting
    if setting.detector == "none":
        return "every window; no voice detector"
    if setting.gated:
        return f"only while {setting.detector} detects speech"
    return f"every window, as in continuous speech; {setting.detector} runs for its cost"


def measured(profile: Profile) -> str:
    """Return a description of the measurement."""
    setting = profile.setting
    arrival = ARRIVALS.get(setting.arrival, "as it comes")
    turns = f"turns of {setting.block_s:g} s, with and without stages being timed"
    return (
        f"{setting.arrival} ({arrival}), pieces of {setting.chunk_ms:g} ms, {setting.duration_s:g} s a "
        f"model, in {turns}; monotonic clock, nanoseconds"
    )


def warmed(profile: Profile) -> str:
    """Return a description of the warm-up."""
    counts = ", ".join(f"{model.n_warmup}" for model in profile.models)
    return f"{counts} decisions before anything counted; of each turn the first is left out"


def overhead(model: ModelProfile) -> str:
    """Return the cost of timing the stages."""
    o = model.overhead
    if o is None:
        return "the run was too short to measure the cost"
    error = "" if o.error_ms is None else f" ± {o.error_ms:.3f}"
    added = f"{o.added_ms:+.3f}{error} ms a decision".replace("-", "−")
    noise = ", which is lost in noise" if o.is_noise else ""
    turns = "turn" if o.n_rounds == 1 else "turns"
    return (
        f"{added}{noise} ({o.n_rounds} {turns} with and without; a mark takes {o.mark_us:.2f} µs)"
    )


def accuracy(accuracy: Accuracy) -> str:
    """Return a description of a model's accuracy and its basis."""
    text = {
        "reference": "what the others are compared with",
        "record": "of the labels as in FP32, by the file's record",
        "agreement": "of the labels as the first model's, on this audio",
        "unknown": "accuracy unknown",
    }[accuracy.basis]
    if accuracy.value is not None:
        text = f"{percent(accuracy.value)} {text}"
    if accuracy.n is not None:
        text += f" ({accuracy.n} windows)"
    if accuracy.card_uar is not None:
        text += f"; UAR of the weights by their card {percent(accuracy.card_uar)}"
    return text


def short_accuracy(accuracy: Accuracy) -> str:
    """Return the accuracy for a narrow column."""
    if accuracy.basis == "reference":
        return "first"
    return "unknown" if accuracy.value is None else percent(accuracy.value)


def device_memory(growth: Growth) -> str:
    """Return peak and growth of the GPU's memory."""
    return f"at most {mib(growth.peak_bytes)} of all processes; {grown(growth)}"


def energy(profile: Profile, model: ModelProfile) -> str:
    """Return the energy of a decision, or the reason that it was not measured."""
    e = model.energy
    if e is None:
        return "not measured: " + ("; ".join(profile.power.missing) or "the run was too short")
    text = f"{1e3 * e.joules_per_decision:.2f} mJ a decision ({profile.power.covers}, {e.mean_w:.2f} W)"
    if e.joules_above_idle_per_decision is not None:
        above = f"{1e3 * e.joules_above_idle_per_decision:.2f}".replace("-", "−")
        text += f", {above} mJ above idle ({e.idle_w:.2f} W)"
    return text


def machine(profile: Profile) -> dict[str, str]:
    """Return the facts about the device by name."""
    m = profile.machine
    cpu = f"{m.cpu.model or m.cpu.architecture}, {m.cpu.n_usable} of {m.cpu.n_cores} cores"
    if m.cpu.quota:
        cpu += f", {m.cpu.quota:g} by quota"
    if m.cpu.load is not None:
        cpu += f", load {m.cpu.load:g} before"
    facts = {"CPU": cpu, "CPU clocks": _clocks(m), **_gpu(m)}
    if m.jetson:
        j = m.jetson
        board = ", ".join(x for x in (j.module, j.jetpack and f"JetPack {j.jetpack}") if x)
        facts["board"] = board or "Jetson"
        facts["power mode"] = j.power_mode.name if j.power_mode else "unknown"
    system = f"{m.os}, Linux {m.kernel}" + (f", in {m.container}" if m.container else "")
    total = m.memory.total
    return {
        **facts,
        "main memory": f"{total / 2**30:.1f} GiB" if total else "unknown",
        "system": system,
        "versions": ", ".join([f"python {m.python}", *_versions(m)]),
        "warmest": f"{_warmest(m.thermal)} before, {_warmest(profile.thermal_after)} after",
        "slowed down by": ", ".join(profile.slowed) or "nothing that was seen",
    }


def _versions(m: MachineFacts) -> list[str]:
    """Return the versions of packages that figures depend on; the JSON has all packages."""
    prefixes = ("edge-ser", "numpy", "onnxruntime", "soxr", "tensorrt", "cuda", "pycuda")
    return [f"{name} {v}" for name, v in m.packages.items() if name.startswith(prefixes)]


def _clocks(m: MachineFacts) -> str:
    if not m.cpu.clocks:
        return "unknown: the kernel offers no cpufreq here"
    return "; ".join(dict.fromkeys(_clock(clock) for clock in m.cpu.clocks))


def _clock(clock: Clock) -> str:
    return f"{clock.governor or 'no governor'}, {hertz(clock.min_hz)} to {hertz(clock.max_hz)}"


def _gpu(m: MachineFacts) -> dict[str, str]:
    if m.gpu is None:
        return {"GPU": "none"}
    name = f"{m.gpu.name or 'none in reach'}, driver {m.gpu.driver or 'unknown'}"
    text = {"GPU": name + (f", CUDA {m.gpu.cuda}" if m.gpu.cuda else "")}
    if m.jetson and m.jetson.gpu_clock:
        text["GPU clock"] = _clock(m.jetson.gpu_clock)
    elif m.gpu.state and m.gpu.state.clock_mhz:
        state = m.gpu.state
        text["GPU clock"] = (
            f"{state.clock_mhz:.0f} MHz before, {state.max_clock_mhz or 0:.0f} at most"
        )
    return text


def _warmest(thermal: Thermal) -> str:
    zone = thermal.warmest
    return f"{zone.celsius:.0f} °C ({zone.name})" if zone else "unknown"


def too_few(profile: Profile, model: ModelProfile) -> str | None:
    """Return the duration needed for missing percentiles; None if none is missing."""
    if model.end_to_end.p999_ms is not None:
        return None
    # A tenth more, as runs differ in speed.
    longer_s = math.ceil(1.1 * profile.setting.duration_s * 1000 / model.n_decisions)
    return (
        f"{MISSING} stands where there are too few decisions; for p99.9 give --duration {longer_s}"
    )


def cpu(model: ModelProfile) -> str:
    """Return the processor time of a window, and the interruptions by other programs."""
    text = f"{model.cpu_ms_per_window:.2f} ms a window, all threads"
    if model.preempted_per_s >= _BUSY_PER_S:
        text += (
            f"; put aside for other programs {model.preempted_per_s:.0f} times a second: stop them, or "
            "take the tails as theirs"
        )
    return text


def hop(model: ModelProfile) -> str:
    """Return the total time of a hop, with its largest parts."""
    parts = sorted(model.per_hop_ms.items(), key=lambda part: -part[1])
    text = ", ".join(f"{stage(name)} {ms(value)}" for name, value in parts[:4])
    return f"{ms(sum(model.per_hop_ms.values()))} ms of work every {1e3 * model.hop_s:g} ms ({text}, …)"


def cold(start: ColdStart) -> str:
    """Return the duration of a cold start and of its parts."""
    return (
        f"{start.total_ms:.0f} ms: interpreter {start.interpreter_ms:.0f}, imports "
        f"{start.imports_ms:.0f}, load {start.load_ms:.0f}, first window {start.first_ms:.0f}"
    )
