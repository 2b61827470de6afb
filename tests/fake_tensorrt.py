"""A TensorRT that builds nothing, but has exactly the names that a real version has.

Everything comes from the tables in tests/tensorrt_api: an attribute that a version lacks is missing
here too. All calls and settings are kept, in order, in `events`.
"""

from __future__ import annotations

import enum
import functools
import json
import types
from collections.abc import Sequence
from typing import Any

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


_MAKES = {
    "Builder.create_builder_config": "IBuilderConfig",
    "Builder.create_network": "INetworkDefinition",
    "Builder.create_optimization_profile": "IOptimizationProfile",
    "IBuilderConfig.create_timing_cache": "ITimingCache",
    "IBuilderConfig.get_timing_cache": "ITimingCache",
    "ICudaEngine.create_engine_inspector": "EngineInspector",
    "ICudaEngine.create_execution_context": "IExecutionContext",
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
    """

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
    ) -> None:
        table = load_table(version)
        super().__init__(table["module"])
        self.__version__ = table["version"]
        self.events: list[str] = []
        self._names = table["names"]
        self._layers, self._phases = layers, phases
        self._parses, self._plan, self._loads = parses, plan, loads
        self._given = {"num_DLA_cores": dla_cores, "num_layers": len(layers), "num_errors": 1}

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
            "Runtime.deserialize_cuda_engine": self.thing("ICudaEngine") if self._loads else None,
        }
        return answers.get(name, True)

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

    def __getattr__(self, name: str) -> Any:
        self._check(name)
        full = f"{self._kind}.{name}"
        if name in self.values or name in self._fake._given:
            return self.values.get(name, self._fake._given.get(name))

        def method(*arguments: Any) -> Any:
            shown = ", ".join(a.name if isinstance(a, enum.Enum) else _short(a) for a in arguments)
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
