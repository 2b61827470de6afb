"""The machine that this runs on, as its own files and tools describe it: facts, power, processes."""
