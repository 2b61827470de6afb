"""Training and export: the only folder that imports torch."""
