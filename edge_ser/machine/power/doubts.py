"""Why the figures of a run may be wrong: what an honest report prints beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edge_ser.machine.power.report import Draw, PowerReport

_FEWEST_VALUES = 10
"""Below this, the first and the last value, which reach beyond the run, weigh too much."""
_KEPT_RATE = 0.8
_METER_SHARE = 0.02
_TOLD_FROM_IDLE = 0.01
"""Of idle's power: no monitor of a board is better than that."""
_NAMES_WRONG = 1.02
COMPLETE = 0.9
"""A sensor that answered for a smaller part of the run does not stand for the run."""


def doubts(
    report: PowerReport, lost: Mapping[str, str], idle: PowerReport | None
) -> tuple[str, ...]:
    """Return the doubts of a report, one sentence each.

    Args:
        report: with its draws, whose own doubts are not looked at.
        lost: sensors that had gone at the end, each with what it said.
        idle: the idle phase before, where there was one.
    """
    return (
        *_of_completeness(report, lost),
        *_of_time(report),
        *_of_rails(report),
        *_of_idle(report, idle),
        *_of_the_meter(report),
    )


def _of_completeness(report: PowerReport, lost: Mapping[str, str]) -> Iterator[str]:
    for name, error in lost.items():
        yield f"{name} stopped answering ({error}): its figures hold only what came before"
    for draw in report.rails:
        if draw.name not in lost and not complete(draw, report.duration_s):
            yield f"{draw.name} answered for {draw.span_s:.2f} s of {report.duration_s:.2f} s"
    if not report.rails:
        yield "nothing was measured"
    elif report.total is None and not report.covers:
        names = ", ".join(draw.name for draw in report.rails)
        yield f"it is not known which of {names} hold one another: there is no sum"
    elif report.total is None:
        yield "there is no sum, because not all of its sensors answered throughout"
    elif not report.whole_board:
        yield f"the sum holds {report.covers}: the mains supply more"


def _of_time(report: PowerReport) -> Iterator[str]:
    for names, update_s in _by_update(report.rails).items():
        if update_s is None:
            yield f"{names}: how often new values come is not known; run for seconds, not less"
        else:
            between_s = max(update_s, 1 / report.rate_hz)
            if report.duration_s < _FEWEST_VALUES * between_s:
                yield (
                    f"{names}: a run of {report.duration_s:.3g} s is short for values every "
                    f"{between_s:.3g} s; run {_FEWEST_VALUES * between_s:.3g} s or longer"
                )


def _by_update(draws: tuple[Draw, ...]) -> dict[str, float | None]:
    """Return update times under the names that have them, joined."""
    groups: dict[float | None, list[str]] = {}
    for draw in draws:
        groups.setdefault(draw.update_s, []).append(draw.name)
    return {", ".join(names): update_s for update_s, names in groups.items()}


def _of_rails(report: PowerReport) -> Iterator[str]:
    total = report.total
    if total is None or total.what != "board":
        return
    for draw in report.rails:
        if draw.mean_w > _NAMES_WRONG * total.mean_w:
            yield (
                f"{total.name}, which should hold {draw.name}, drew less than it: "
                "this board's device tree names its rails wrongly"
            )


def _of_idle(report: PowerReport, idle: PowerReport | None) -> Iterator[str]:
    if idle is None or idle.total is None or report.total is None:
        return
    more_w = report.total.mean_w - idle.total.mean_w
    if more_w <= max(idle.total.spread_w, _TOLD_FROM_IDLE * idle.total.mean_w):
        yield (
            f"the run drew {more_w:.3g} W more than idle, and idle itself varied by "
            f"{idle.total.spread_w:.3g} W: what lies above idle is not told from noise"
        )
    yield from (f"idle: {doubt}" for doubt in _of_time(idle))


def _of_the_meter(report: PowerReport) -> Iterator[str]:
    wanted = report.duration_s * report.rate_hz
    if report.n_samples < _KEPT_RATE * wanted:
        yield (
            f"{report.n_samples} samples were taken where {wanted:.0f} were wanted: "
            "the machine was busy, or the sensors are slow"
        )
    share = report.meter_cpu_s / report.duration_s if report.duration_s else 0.0
    if share > _METER_SHARE:
        yield (
            f"sampling itself took {share:.1%} of one processor core, which is in the figures; "
            "sample less often"
        )


def complete(draw: Draw, duration_s: float) -> bool:
    """Say whether a sensor answered for the run, but for a little at its ends."""
    return draw.span_s >= COMPLETE * duration_s
