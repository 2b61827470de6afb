"""Listen in asyncio, beside whatever else runs there: `python examples/with_asyncio.py [FILE]`."""

import asyncio
import sys

from edge_ser import Recognizer


async def main(source: str | None) -> None:
    """Print the utterances of a source until it ends."""
    async for event in Recognizer().listen_async(source, vad=True):
        if event.kind in {"speech_start", "speech_end"}:
            print(event.kind, f"{event.at_s:.2f} s")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
