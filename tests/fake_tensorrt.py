"""A TensorRT that builds nothing, but has exactly the names that a real version has.

Everything comes from the tables in tests/tensorrt_api: an attribute that a version lacks is missing
here too. All calls and settings are kept, in order, in `events`.
"""

from __future__ import annotations

import enum
import functools
import json
import types
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from support import ROOT

TABLES = ROOT / "tests" / "tensorrt_api"
VERSIONS = {
    "tensorrt 8.6": "tensorrt-8.6.1",
    "tensorrt 10.3": "tensorrt-10.3.0",
    "tensorrt 10.13": "tensorrt-10.13.3.9",
    "tensorrt 11.4": "tensorrt-11.4.0.106",
    "tensorrt_rtx 1.7": "tensorrt_rtx-1.7.1.116",
}


def load_table(version: str) -> dict[str, Any]:
    """Return the table of names of one of VERSIONS."""
    table: dict[str, Any] = json.loads((TABLES / f"{VERSIONS[version]}.json").read_text())
    return table


TENSORS = (("features", "INPUT", "FLOAT"), ("logits", "OUTPUT", "FLOAT"))

AROUSAL_TENSORS = (
    ("arousal", "OUTPUT", "FLOAT"),
    ("features", "INPUT", "FLOAT"),
    ("logits", "OUTPUT", "FLOAT"),
)
"""Of a model with an arousal; TensorRT promises no order."""


def network(inputs: np.ndarray) -> np.ndarray:
    """Return what the fakes compute: logits [batch, 3] of an input [batch, ...]."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    columns = [flat.mean(1), flat.std(1), flat[:, ::7].mean(1)]
    return np.tanh(np.stack(columns, axis=1)).astype(np.float32)


def arousal_of(inputs: np.ndarray) -> np.ndarray:
    """Return the arousal [batch, 1] that the fakes compute."""
    return (0.5 + 0.5 * network(inputs)[:, 1:2]).astype(np.float32)


_MAKES = {
    "Builder.create_builder_config": "IBuilderConfig",
    "Builder.create_network": "INetworkDefinition",
    "Builder.create_optimization_profile": "IOptimizationProfile",
    "IBuilderConfig.create_timing_cache": "ITimingCache",
    "IBuilderConfig.get_timing_cache": "ITimingCache",
    "ICudaEngine.create_engine_inspector": "EngineInspector",
    "ICudaEngine.create_runtime_config": "IRuntimeConfig",
    "IRuntimeConfig.create_runtime_cache": "IRuntimeCache",
    "OnnxParser.get_error": "ParserError",
}
"""Which class of object a method returns."""


class FakeTensorRT(types.ModuleType):
    """A module of one of VERSIONS, which does as it is told here.

    Args:
        version: one of VERSIONS.
        layers: (name, LayerType, DataType of its output) of each layer that the parser finds, each
            reading the one before.
        parses: whether parsing succeeds.
        plan: what a build gives; None for a failure.
        loads: whether the plan can be deserialised.
        dla_cores: how many there are.
        phases: what the builder tells its progress monitor, as (name, parent, steps).
        contexts: whether an engine gives execution contexts.
        refuses: methods of an execution context that return False.
        tensors: (name, TensorIOMode, DataType) of an engine's inputs and outputs.
        n_classes: how many logits an engine puts out; its arousal has one column.
        kernels: what a runtime cache of TensorRT for RTX is serialised to.
        takes: whether it takes stored kernels; an exception is raised.

    To run, it needs a `gpu`, a `fake_cuda.FakeGpu`. Its engines compute `network`.
    """

    gpu: Any = None

    def __init__(
        self,
        version: str,
        *,
        layers: Sequence[tuple[str, str, str]] = (("conv", "CONVOLUTION", "FLOAT"),),
        parses: bool = True,
        plan: bytes | None = b"a plan",
        loads: bool = True,
        dla_cores: int = 0,
        phases: Sequence[tuple[str, str | None, int]] = (("Building engine", None, 2),),
        contexts: bool = True,
        refuses: Sequence[str] = (),
        tensors: Sequence[tuple[str, str, str]] = TENSORS,
        n_classes: int = 3,
        kernels: bytes = b"kernels",
        takes: bool | Exception = True,
    ) -> None:
        table = load_table(version)
        super().__init__(table["module"])
        self.__version__ = table["version"]
        self.events: list[str] = []
        self._names = table["names"]
        self._layers, self._phases = layers, phases
        self._parses, self._plan, self._loads = parses, plan, loads
        self._contexts, self.refuses, self._n_classes = contexts, set(refuses), n_classes
        self._tensors = {name: (mode, dtype) for name, mode, dtype in tensors}
        self.kernels, self.takes = kernels, takes
        self.alive: Counter[str] = Counter()
        self._given = {
            "num_DLA_cores": dla_cores,
            "num_layers": len(layers),
            "num_errors": 1,
            "num_io_tensors": len(tensors),
        }

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("_names", {})
        if name not in names:
            raise AttributeError(
                f"{self.__name__} {self.__dict__.get('__version__')} has no {name}"
            )
        members = names[name]
        if members is None:
            return name
        if {"name", "value"} <= members.keys():
            values = [m for m in members if m not in {"name", "value", "itemsize"}]
            made: Any = enum.IntEnum(name, {m: i for i, m in enumerate(values)})
        elif name in {"ILogger", "IProgressMonitor"}:
            made = type(name, (), {m: m for m in members if m.isupper()})
        else:
            made = functools.partial(self._make, name)
        setattr(self, name, made)
        return made

    def _make(self, kind: str, *_: Any) -> Any:
        return self.thing(kind)

    def thing(self, kind: str, **values: Any) -> Any:
        """Return an object of a class, with the members that it has in this version."""
        return _Thing(self, kind, self._names[kind], values)

    def called(self, name: str, arguments: tuple[Any, ...], thing: _Thing) -> Any:
        """Answer a method call."""
        if name.startswith(("ICudaEngine.", "IExecutionContext.", "IRuntimeCache.")):
            return self._run_time(name, arguments, thing)
        if name == "Runtime.deserialize_cuda_engine":
            return self.thing("ICudaEngine") if self._loads else None
        if name in _MAKES:
            return self.thing(_MAKES[name])
        if name == "INetworkDefinition.get_layer":
            layer, kind, dtype = self._layers[arguments[0]]
            kind = self.LayerType[kind]
            before = self._layers[arguments[0] - 1][0] if arguments[0] else "features"
            shown = {"name": layer, "type": kind, "num_inputs": 1, "num_outputs": 1}
            return self.thing("ILayer", **shown, dtype=dtype, before=before)
        if name == "ILayer.get_input":
            return self.thing("ITensor", name=thing.values["before"])
        if name == "ILayer.get_output":
            values = thing.values
            return self.thing("ITensor", name=values["name"], dtype=self.DataType[values["dtype"]])
        if name == "Builder.build_serialized_network":
            return self._build(arguments[1])
        outputs = [{"Format/Datatype": "Row major linear FP16 format"}]
        answers = {
            "EngineInspector.get_engine_information": json.dumps(
                {"Layers": [{"Name": "fused", "Outputs": outputs}]}
            ),
            "INetworkDefinition.get_input": self.thing("ITensor", name="features"),
            "ITimingCache.serialize": b"timings",
            "OnnxParser.parse": self._parses,
            "ParserError.desc": "no importer for Nonsense",
            "ParserError.node": 7,
        }
        return answers.get(name, True)

    def _run_time(self, name: str, arguments: tuple[Any, ...], thing: _Thing) -> Any:
        """Answer what a runner calls."""
        kind, _, method = name.partition(".")
        if name in _MAKES:
            return self.thing(_MAKES[name])
        if kind == "IExecutionContext":
            return method not in self.refuses and self._context(method, arguments, thing.values)
        if kind == "IRuntimeCache":
            if method == "deserialize" and isinstance(self.takes, Exception):
                raise type(self.takes)(*self.takes.args)
            return self.kernels if method == "serialize" else self.takes
        answers = {
            "create_execution_context": lambda: (
                self.thing("IExecutionContext") if self._contexts else None
            ),
            "get_tensor_name": lambda: list(self._tensors)[arguments[0]],
            "get_tensor_mode": lambda: self.TensorIOMode[self._tensors[arguments[0]][0]],
            "get_tensor_dtype": lambda: self.DataType[self._tensors[arguments[0]][1]],
        }
        return answers[method]()

    def _context(self, method: str, arguments: tuple[Any, ...], state: dict[str, Any]) -> Any:
        """Answer what is asked of an execution context."""
        if method == "get_tensor_shape":
            columns = 1 if arguments[0] == "arousal" else self._n_classes
            return (state["shape_of_features"][0], columns)
        if method == "set_input_shape":
            state[f"shape_of_{arguments[0]}"] = arguments[1]
        elif method == "set_tensor_address":
            state[f"address_of_{arguments[0]}"] = arguments[1]
        elif method == "execute_async_v3":
            self._enqueue(arguments[0], **state)
        return True

    def _enqueue(self, stream: int, **state: Any) -> None:
        """Put the network on a stream, with the shapes and the addresses of now."""
        n_classes, gpu = self._n_classes, self.gpu

        def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
            n_bytes = 4 * int(np.prod(shape))
            view: np.ndarray = gpu.memory(state[f"address_of_{name}"], n_bytes).view(np.float32)
            return view.reshape(shape)

        def work() -> None:
            inputs = tensor("features", state["shape_of_features"])
            tensor("logits", (len(inputs), n_classes))[:] = network(inputs)[:, :n_classes]
            if "arousal" in self._tensors:
                tensor("arousal", (len(inputs), 1))[:] = arousal_of(inputs)

        gpu.put(stream, work)

    def _build(self, config: _Thing) -> bytes | None:
        monitor = config.values.get("progress_monitor")
        for name, parent, steps in self._phases if monitor else ():
            monitor.phase_start(name, parent, steps)
            going = all(monitor.step_complete(name, step) for step in range(steps))
            monitor.phase_finish(name)
            if not going:
                return None
        return self._plan


class _Thing:
    """An object of TensorRT's."""

    def __init__(self, fake: FakeTensorRT, kind: str, members: dict[str, Any], values: Any) -> None:
        self.__dict__.update(_fake=fake, _kind=kind, _members=members, values=values)
        fake.alive[kind] += 1

    def __del__(self) -> None:
        self._fake.alive[self._kind] -= 1

    def __getattr__(self, name: str) -> Any:
        self._check(name)
        full = f"{self._kind}.{name}"
        if name in self.values or name in self._fake._given:
            return self.values.get(name, self._fake._given.get(name))

        def method(*arguments: Any, **keywords: Any) -> Any:
            shown = ", ".join(a.name if isinstance(a, enum.Enum) else _short(a) for a in arguments)
            shown += ", ".join(f"{key}={_short(value)}" for key, value in keywords.items())
            self._fake.events.append(f"{full}({shown})")
            return self._fake.called(full, arguments, self)

        return method

    def __setattr__(self, name: str, value: Any) -> None:
        self._check(name)
        self.values[name] = value
        shown = value.name if isinstance(value, enum.Enum) else _short(value)
        self._fake.events.append(f"{self._kind}.{name} = {shown}")

    def _check(self, name: str) -> None:
        if name not in self._members:
            raise AttributeError(f"{self._kind} of {self._fake.__version__} has no {name}")


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (int, str, tuple)) else "…"
