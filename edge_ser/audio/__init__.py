"""Audio samples: reading, resampling and live sources."""
