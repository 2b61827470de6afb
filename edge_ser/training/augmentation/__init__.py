"""Augmentation of waveforms and features."""
