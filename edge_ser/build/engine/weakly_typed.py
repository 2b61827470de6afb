"""TensorRT 8.6, and a DLA of TensorRT 10: the builder chooses types among those that flags allow."""

from __future__ import annotations

from typing import Any

from edge_ser.precision import Precision


def network_flags(trt: Any) -> int:
    """Return the flags of `create_network`."""
    return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


def allow_types(trt: Any, config: Any, network: Any, precision: Precision) -> None:
    """Allow the types that the file holds, and pin the layers that it keeps in FP32."""
    if "int8" in precision.kind:
        config.set_flag(trt.BuilderFlag.INT8)
    if "fp16" not in precision.kind:
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    kept = set(precision.excluded)
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.name in kept:
            layer.precision = trt.float32
            layer.set_output_type(0, trt.float32)
