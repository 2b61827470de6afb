"""A real, virtual microphone: PulseAudio's null sink and its monitor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from support import skip_or_fail

PROGRAMS = ("pulseaudio", "pactl", "paplay")


class Studio:
    """A private audio server: what is played into its speaker is heard by its microphone."""

    def __init__(self, folder: Path) -> None:
        lacking = [name for name in PROGRAMS if shutil.which(name) is None]
        if lacking:
            skip_or_fail(
                f"{', '.join(lacking)} not installed: apt install pulseaudio pulseaudio-utils"
            )
        runtime = folder / "pulse"
        runtime.mkdir(mode=0o700)
        # PortAudio speaks ALSA; ALSA's default device is PulseAudio here, as on a desktop.
        (folder / ".asoundrc").write_text("pcm.!default pulse\nctl.!default pulse\n")
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_RUNTIME_PATH": str(runtime),
            "PULSE_SERVER": f"unix:{runtime}/native",
        }
        self._log = folder / "pulseaudio.log"
        self._listening: list[subprocess.Popen[str]] = []
        self.start()

    def start(self) -> None:
        """Start the server, also again, and return when it can be heard."""
        with self._log.open("ab") as log:
            self.server = subprocess.Popen(
                [
                    *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"),
                    "--use-pid-file=no",
                    "--load=module-native-protocol-unix",
                    "--load=module-null-sink sink_name=speaker rate=48000 channels=2",
                ],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(100):
            ready = subprocess.run(
                ["pactl", "set-default-source", "speaker.monitor"],
                env=self.environment,
                capture_output=True,
                check=False,
            )
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        self.kill()
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        """End the server as a crash would."""
        self.server.kill()
        self.server.wait()

    def close(self) -> None:
        """End the server, and whoever still listens after a test that failed."""
        self.kill()
        for process in self._listening:
            process.kill()
            process.communicate()

    def listen(
        self, *arguments: str, out: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start `edge-ser run --mic`, and return when it listens.

        Its output goes to `out`: a pipe that nobody reads would stop it after some hundred windows.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_ser", "run", "--mic", *arguments],
            env=self.environment,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listening.append(process)
        assert process.stderr
        first = process.stderr.readline()
        assert first.startswith("listening to"), first + process.stderr.read()
        return process

    def play(self, clip: Path) -> None:
        """Play a file, and return when it is over."""
        subprocess.run(["paplay", str(clip)], env=self.environment, check=True, timeout=30)
