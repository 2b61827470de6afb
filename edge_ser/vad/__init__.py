"""Voice detectors, and segments of speech from their probabilities."""
