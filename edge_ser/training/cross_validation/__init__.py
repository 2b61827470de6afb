"""Cross-validation of systems."""
