"""Accuracy of a model on labelled, neutral and unlabelled speech."""
