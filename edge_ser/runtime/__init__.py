"""What runs on the device: runners, windows over a stream, sources of audio. Never torch."""
