"""What a profile says of a model beside its times."""

from __future__ import annotations

import pytest
from support import absent, make_card

from edge_ser.frontend import kernel_for
from edge_ser.profiling.session import _front_end
from edge_ser.reports import profile_format as words


@pytest.mark.parametrize("kind", ["features", "waveform"])
def test_a_network_with_the_front_end_in_it_needs_no_kernel(kind):
    card = make_card(input=kind)
    wanted = {"waveform": "in the graph", "features": kernel_for(card.frontend).name}[kind]
    assert _front_end(card) == wanted


def test_the_front_end_stands_above_the_figures(profiled):
    model = profiled.models[0]
    said = words.decisions(model)
    assert absent(said, f"{model.n_decisions:,} decisions", "ms", model.front_end) == []
    assert model.front_end in {"NumPy", kernel_for(make_card().frontend).name}
