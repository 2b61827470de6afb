"""TensorRT 8.6, and a DLA of TensorRT 10: the builder chooses types among those that flags allow.

There an FP16 flag would take the logarithms and sums to FP16 too that the file keeps in FP32, so the
file's types are followed through the network and those layers pinned.
"""

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
    for place in float_layers(trt, network):
        layer = network.get_layer(place)
        layer.precision = trt.float32
        layer.set_output_type(0, trt.float32)


def float_layers(trt: Any, network: Any) -> list[int]:
    """Return the places of the layers that compute in FP32 by the types of the file.

    A weakly typed network does not tell: only casts, constants and whole numbers have their types,
    every other layer has that of its first input. A layer behind a DequantizeLinear, with its
    activation, is left out: it is to become INT8.
    """
    kinds = trt.LayerType
    floats = {trt.DataType.FLOAT, trt.DataType.HALF}
    fused = {
        kinds.ACTIVATION,
        kinds.CONVOLUTION,
        kinds.DEQUANTIZE,
        kinds.MATRIX_MULTIPLY,
        kinds.SHUFFLE,
    }
    untouched = {kinds.CAST, kinds.CONSTANT, kinds.QUANTIZE}
    types: dict[str, Any] = {}
    to_int8: set[str] = set()
    found = []
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        given = [layer.get_input(i) for i in range(layer.num_inputs)]
        names = [tensor.name for tensor in given if tensor is not None]
        tensor = layer.get_output(0)
        own = tensor.dtype
        if own in floats and layer.type not in {kinds.CONSTANT, kinds.CAST}:
            known = (types.get(name, trt.DataType.FLOAT) for name in names)
            own = next((dtype for dtype in known if dtype in floats), trt.DataType.FLOAT)
        types[tensor.name] = own
        behind = layer.type == kinds.DEQUANTIZE or not to_int8.isdisjoint(names)
        if behind and layer.type in fused:
            to_int8.add(tensor.name)
        left_out = behind and layer.type in {*fused, kinds.ELEMENTWISE}
        if own == trt.DataType.FLOAT and not left_out and layer.type not in untouched:
            found.append(place)
    return found
