"""What a wheel holds besides the package: the front end's compiled kernel, and the calibration sets.

Without a C compiler the front end computes in NumPy.
"""

from __future__ import annotations

import platform
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "edge_ser/frontend"
CALIBRATION, IN_PACKAGE = "calibration", "edge_ser/assets/calibration"


class CompileKernel(BuildHookInterface):
    """Called for each wheel, those of editable installs among them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the calibration sets, compile, and say for which machines the wheel is."""
        # An editable install finds the sets in the repository; an image is built without them.
        if version != "editable" and Path(self.root, CALIBRATION).is_dir():
            build_data["force_include"][CALIBRATION] = IN_PACKAGE
        library = f"{FOLDER}/kernel-{platform.machine()}.so"
        try:
            subprocess.run(
                ["sh", Path(self.root, FOLDER, "compile.sh"), platform.machine()], check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            self.app.display_warning(
                f"the front end computes in NumPy, more slowly: its kernel was not compiled ({error})"
            )
            return
        build_data["artifacts"].append(library)
        build_data["pure_python"] = False
        # It knows nothing of Python: any version of it will do.
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{tag}"
