"""A page in headless Chromium: what it logs, what it asks for, and whether it fits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import skip_or_fail

_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

_ASK = (
    "<script>document.documentElement.setAttribute('data-beyond',"
    "document.documentElement.scrollWidth - window.innerWidth)</script>"
)


@dataclass(frozen=True)
class Shown:
    """What a browser made of a page."""

    console: tuple[str, ...]
    requests: tuple[str, ...]
    """Addresses that the page asked for, itself not among them."""
    beyond_px: int
    """By how much it is wider than the window."""


def show(page: str, folder: Path, width: int) -> Shown:
    """Open a page, with a script at its end that measures it, in a window of this width."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        skip_or_fail("there is no chromium; apt install chromium")
    file, log = folder / "page.html", folder / "net.json"
    file.write_text(page.replace("</body>", f"{_ASK}</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            browser,
            *_QUIET,
            "--enable-logging=stderr",
            "--v=0",
            f"--log-net-log={log}",
            f"--user-data-dir={folder / 'browser'}",
            f"--window-size={width},1000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    beyond = re.search(r'data-beyond="(-?\d+)"', done.stdout)
    assert beyond, "the page was not run"
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Shown(tuple(console), _requests(log), int(beyond.group(1)))


def _requests(log: Path) -> tuple[str, ...]:
    """Return what a page asked for; the browser itself asks Google with no page as the initiator."""
    asked = []
    for event in json.loads(log.read_text(encoding="utf-8"))["events"]:
        said = event.get("params", {})
        if "url" in said and said.get("initiator", "not an origin") != "not an origin":
            asked.append(said["url"])
    return tuple(dict.fromkeys(asked))
