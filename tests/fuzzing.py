"""Damaged inputs by the thousand: how they are made, and what every reader owes them.

A reader may take an input or refuse it with an `EdgeSerError`. It may not raise anything else, crash,
hang, or ask for much memory. `FUZZ_EXAMPLES` says how many inputs all targets get together; without it
each gets a few, within the normal suite.
"""

from __future__ import annotations

import copy
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge_ser.errors import EdgeSerError

N_TARGETS = 10
IN_SUITE = 200
"""Inputs of a target in the normal suite."""
ASKED = int(os.environ.get("FUZZ_EXAMPLES", "0"))
HANG_MS = 20_000
"""An input that takes longer hangs the reader: thousands of times what any should take."""

ROOM_BYTES = 1 << 30
"""Address space that a reader may ask for beyond what the process has; a clip needs far less."""

EDGES = (0, 1, 2, 127, 128, 255, 256, 32_767, 65_535, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass
class Tally:
    """What became of the inputs of a target; `slowest_ms` is not judged."""

    name: str
    taken: int = 0
    refused: int = 0


TALLIES: list[Tally] = []


def fuzz(name: str, inputs: st.SearchStrategy[Any], use: Callable[[Any], object]) -> None:
    """Give `use` many inputs; fail at the first that raises what is no EdgeSerError.

    At least one has to be taken and one refused, or else the fuzzing never came to the point.
    """
    tally = Tally(name)
    TALLIES.append(tally)

    @settings(
        max_examples=-(-ASKED // N_TARGETS) if ASKED else IN_SUITE,
        deadline=HANG_MS,
        database=None,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def try_one(value: Any) -> None:
        try:
            with little_memory():
                use(value)
        except EdgeSerError:
            tally.refused += 1
        else:
            tally.taken += 1

    try_one()
    assert tally.taken
    assert tally.refused


@contextmanager
def little_memory() -> Iterator[None]:
    """Let a huge allocation fail, as MemoryError, instead of filling the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    room = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Draw a file with up to four bits flipped, numbers overwritten, pieces cut or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        # Headers stand at the front: half of the damage goes there.
        end = draw(st.sampled_from([min(64, len(data)), len(data)]))
        place = draw(st.integers(0, max(0, end - 1)))
        match draw(st.sampled_from(["bit", "number", "cut", "insert", "end", "again"])):
            case "bit" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                width = draw(st.sampled_from([1, 2, 4, 8]))
                order = draw(st.sampled_from(["little", "big"]))
                value = draw(st.sampled_from(EDGES)) % (1 << 8 * width)
                data[place : place + width] = value.to_bytes(width, order)
            case "cut":
                del data[place : place + draw(st.integers(1, 64))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=32))
            case "end":
                del data[place:]
            case "again":
                data[place:place] = data[place : place + draw(st.integers(1, 256))]
    return bytes(data)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([*EDGES, -1, 10**9, 10**18, 10**400]),
    st.floats(),
    st.text(max_size=8),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, seeds: list[Any]) -> Any:
    """Draw parsed JSON in which up to three values are replaced, removed, added or swapped."""
    data = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(data))
        if not places:
            return draw(_VALUES)
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "like", "remove", "add"])):
            case "replace":
                holder[key] = draw(_VALUES)
            case "like":
                holder[key] = draw(_like(holder[key]))
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=6))] = draw(_VALUES)
            case "add":
                holder.insert(key, draw(_VALUES))
    return data


def changed_text(seeds: list[Any]) -> st.SearchStrategy[str]:
    """Draw JSON text: changed as data, or damaged as text."""
    texts = [json.dumps(seed).encode() for seed in seeds]
    as_text = damaged(texts).map(lambda data: data.decode("utf-8", errors="replace"))
    return st.one_of(changed(seeds).map(json.dumps), as_text)


def _like(value: Any) -> st.SearchStrategy[Any]:
    """Return values of the same type: they come past the checks of types."""
    if isinstance(value, bool) or value is None:
        return st.booleans()
    if isinstance(value, int):
        return st.integers() | st.sampled_from([*EDGES, -1, 10**6, 10**9, 10**18])
    if isinstance(value, float):
        return st.floats()
    if isinstance(value, str):
        return st.text(max_size=8)
    if isinstance(value, list):
        return st.lists(st.sampled_from(value) if value else _SCALARS, max_size=6)
    return st.dictionaries(st.text(max_size=4), _SCALARS, max_size=3)


def _places(data: Any) -> Any:
    """Yield each (container, key) of nested lists and objects."""
    pairs = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in list(pairs):
        yield data, key
        yield from _places(value)
