"""Listen in a thread while the program does something else: `python examples/callback.py FILE`."""

import sys

from edge_ser import Recognizer
from edge_ser.recognition.events import Event

heard: list[str] = []


def on_event(event: Event) -> None:
    """Called in the listening thread: be quick, or hand it on."""
    heard.append(event.kind)


with Recognizer().listen_in_background(on_event, sys.argv[1] if len(sys.argv) > 1 else None) as it:
    while not it.wait(timeout_s=0.1):
        pass  # the robot's own loop; leaving the block stops the listening

print(" ".join(heard))
