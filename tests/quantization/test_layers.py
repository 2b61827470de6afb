"""Layers of a network, and those worth quantising."""

from __future__ import annotations

from networks import N_CHANNELS, both_card, network
from support import make_card

from edge_ser.quantization.layers import arousal_branch, weighted_layers, worth_quantizing


def test_roles_of_layers_follow_from_their_outputs():
    layers = weighted_layers(network(make_card()))

    assert {layer.name: layer.role for layer in layers} == {
        "first": "trunk",
        "second": "trunk",
        "gate": "gate",
        "score": "pooling",
        "head": "trunk",
    }
    assert sum(layer.share for layer in layers) == 1.0
    assert next(x for x in layers if x.name == "second").n_weights == 3 * N_CHANNELS**2


def test_gates_stay_in_float():
    layers = weighted_layers(network(make_card()))

    assert worth_quantizing(layers) == ("first", "second", "score", "head")


def test_the_branch_of_an_arousal_stays_in_float():
    model = network(both_card())
    layers = weighted_layers(model)
    roles = {layer.name: layer.role for layer in layers}

    assert roles["arousal_score"] == "arousal"
    assert worth_quantizing(layers) == ("first", "second", "score", "head")
    assert arousal_branch(model) == {"arousal_score", "excited"}
    assert arousal_branch(network(make_card())) == set()
