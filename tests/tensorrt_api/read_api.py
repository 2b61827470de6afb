"""Write the table of names that a TensorRT Python module has, without a GPU or TensorRT's libraries.

    pip download --no-deps tensorrt-cu12-bindings==10.3.0
    python read_api.py tensorrt_cu12_bindings-10.3.0-*.whl > tensorrt-10.3.0.json

A wheel of bindings holds an extension module that needs libnvinfer and its kin, but only about ten
functions of them, and calls none while it is imported. Empty libraries with these functions are
enough to import it and look around. Nothing can be built that way. Needs cc, nm and readelf.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType


def parameters(function: object) -> list[str] | None:
    """Return the parameters' names that pybind11 wrote into a docstring, None for no function."""
    if not callable(function) or isinstance(function, type):
        return None
    name = getattr(function, "__name__", "")
    lines = (getattr(function, "__doc__", None) or "").splitlines()
    signatures = [line for line in lines if re.match(rf"(\d+\. )?{re.escape(name)}\(", line)]
    names = [n for line in signatures for n in re.findall(r"[(,] ?(\w+)(?=:)", line)]
    return [n for n in dict.fromkeys(names) if n != "self"]


def table(module: ModuleType) -> dict[str, object]:
    """Return {name: {member: [parameters] or null}} for classes, [parameters] or null for the rest."""
    names: dict[str, object] = {}
    for name in sorted(n for n in dir(module) if not n.startswith("_")):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            continue
        if isinstance(value, type):
            public = (m for m in sorted(dir(value)) if not m.startswith("_"))
            names[name] = {m: parameters(getattr(value, m)) for m in public}
        else:
            names[name] = parameters(value)
    return names


def dump(module: ModuleType) -> str:
    """Return the table as JSON, one name of the module a line."""
    name = module.__name__.removesuffix("_bindings")
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table(module).items())
    head = f'"module": {json.dumps(name)}, "version": {json.dumps(module.__version__)}'
    return f'{{{head}, "names": {{\n{rows}\n}}}}\n'


def stand_ins(extension: Path, folder: Path) -> None:
    """Compile an empty library for each of TensorRT's that the extension module needs."""
    dynamic = subprocess.check_output(["readelf", "-d", extension], text=True)
    symbols = subprocess.check_output(["nm", "-D", "--undefined-only", extension], text=True)
    functions = re.findall(r"U ((?:create|get|init|_ZN\d+nv)\w+)$", symbols, re.MULTILINE)
    source = folder / "functions.c"
    source.write_text("".join(f"void *{f}(void) {{ return 0; }}\n" for f in functions))
    for library in re.findall(r"NEEDED.*\[(lib(?:nv|tensorrt)[^]]*)\]", dynamic):
        command = ["cc", "-shared", "-fPIC", "-w", "-o", folder / library, source]
        subprocess.run([*command, f"-Wl,-soname,{library}"], check=True)


def main() -> None:
    """Unpack the wheel, start again where its libraries are found, and print the table."""
    if os.environ.get("UNPACKED"):
        sys.setdlopenflags(os.RTLD_LAZY)
        sys.path.insert(0, os.environ["UNPACKED"])
        sys.stdout.write(dump(importlib.import_module(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(sys.argv[1]).extractall(folder)
        package = next(folder.glob("tensorrt*/__init__.py")).parent
        stand_ins(next(package.glob("tensorrt*.so")), folder)
        surroundings = {**os.environ, "UNPACKED": name, "LD_LIBRARY_PATH": name}
        subprocess.run([sys.executable, __file__, package.name], env=surroundings, check=True)


if __name__ == "__main__":
    main()
