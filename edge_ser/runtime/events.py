"""Former place of `edge_ser.recognition.events`; it goes with the next version."""

import warnings

from edge_ser.recognition.events import *  # noqa: F403 (the same names)

warnings.warn(
    "edge_ser.runtime.events is now edge_ser.recognition.events; the old name goes with the next "
    "version",
    DeprecationWarning,
    stacklevel=2,
)
