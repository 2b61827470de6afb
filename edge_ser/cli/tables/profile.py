"""Tables of `profile`, readable at 80 columns and without colours."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding

from edge_ser.cli._shared.tables import facts_table, plain_table
from edge_ser.reports import profile_format as text

if TYPE_CHECKING:
    from rich.console import Console

    from edge_ser.profiling.report import ModelProfile, Profile
    from edge_ser.profiling.statistics import Spread

_HEADS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean", "jitter")


def print_profile(console: Console, profile: Profile) -> None:
    """Print the main figures; the JSON has all."""
    _print_facts(console, _setting(profile))
    for model in profile.models:
        console.print()
        _print_model(console, profile, model)
    console.print()
    _print_shared(console, profile)
    if len(profile.models) > 1:
        console.print()
        _print_side_by_side(console, profile)


def _setting(profile: Profile) -> dict[str, str]:
    return {
        **text.machine(profile),
        "input": text.listened(profile),
        "classified": text.classified(profile),
        "arrival": text.measured(profile),
        "warm-up": text.warmed(profile),
    }


def _print_model(console: Console, profile: Profile, model: ModelProfile) -> None:
    console.print(f"[bold]{escape(model.name)}[/bold]: {escape(model.backend)}, {model.precision}")
    console.print(text.decisions(model), style="dim")
    table = plain_table("stage", right=_HEADS)
    for name, spread in model.stages.items():
        table.add_row(text.stage(name), *_cells(spread))
    table.add_section()
    table.add_row("computed", *_cells(model.computed), style="bold")
    table.add_row("end to end", *_cells(model.end_to_end), style="bold")
    console.print(table)
    if few := text.too_few(profile, model):
        console.print(few, style="dim")
    _print_facts(console, _costs(profile, model))


def _cells(spread: Spread) -> list[str]:
    return [
        text.ms(value)
        for value in (
            spread.p50_ms,
            spread.p90_ms,
            spread.p95_ms,
            spread.p99_ms,
            spread.p999_ms,
            spread.max_ms,
            spread.mean_ms,
            spread.jitter_ms,
        )
    ]


def _costs(profile: Profile, model: ModelProfile) -> dict[str, str]:
    facts = {
        "speed": f"{model.windows_per_s:,.1f} windows/s, real-time factor {model.rtf:.4f}",
        "a hop": text.hop(model),
        "CPU": text.cpu(model),
    }
    if model.n_silent:
        facts["silent"] = (
            f"{model.n_silent} windows below the minimum level were not classified or counted"
        )
    if model.cold:
        total = median(start.total_ms for start in model.cold)
        parts = ", ".join(
            f"{name} {median(getattr(start, field) for start in model.cold):.0f}"
            for name, field in (
                ("interpreter", "interpreter_ms"),
                ("imports", "imports_ms"),
                ("load", "load_ms"),
                ("first window", "first_ms"),
            )
        )
        worst = max(start.total_ms for start in model.cold)
        facts["cold start"] = f"{total:.0f} ms, at worst {worst:.0f} of {len(model.cold)} ({parts})"
        alone = model.cold[-1]
        facts["memory alone"] = (
            f"{text.mib(alone.rss_bytes)}, at most {text.mib(alone.peak_rss_bytes)}, in a separate "
            "process"
        )
    if model.device_memory:
        facts["GPU memory"] = text.device_memory(model.device_memory)
    facts["overhead"] = text.overhead(model)
    if len(profile.models) > 1 or model.accuracy.basis == "record":
        facts["accuracy"] = text.accuracy(model.accuracy)
    if model.energy:
        facts["energy"] = text.energy(profile, model)
    return facts


def _print_shared(console: Console, profile: Profile) -> None:
    facts = {
        "memory": f"at most {text.mib(profile.memory.peak_bytes)} with the profile itself, "
        + text.grown(profile.memory.growth)
    }
    if not any(model.energy for model in profile.models):
        facts["energy"] = text.energy(profile, profile.models[0])
    if profile.power.doubts:
        facts["power"] = "; ".join(profile.power.doubts)
    if profile.recommendation:
        r = profile.recommendation
        facts["take"] = f"{r.model} ({r.by} {text.ms(r.value_ms)} ms), {r.reason}"
    if profile.budget and not profile.budget.over:
        b = profile.budget
        facts["budget"] = f"kept: p{b.percentile:g} end to end within {b.budget_ms:g} ms"
    _print_facts(console, facts)


def _print_side_by_side(console: Console, profile: Profile) -> None:
    table = plain_table("model", right=("p50", "p99", "max", "RTF", "CPU/window", "accuracy"))
    for model in profile.models:
        table.add_row(
            escape(model.name),
            text.ms(model.computed.p50_ms),
            text.ms(model.computed.p99_ms),
            text.ms(model.computed.max_ms),
            f"{model.rtf:.4f}",
            f"{model.cpu_ms_per_window:.2f}",
            text.short_accuracy(model.accuracy),
        )
    console.print("Side by side, computed, in ms", style="dim")
    console.print(table)


def _print_facts(console: Console, facts: dict[str, str]) -> None:
    table = facts_table()
    for name, value in facts.items():
        table.add_row(name, escape(value))
    console.print(Padding(table, 0))
