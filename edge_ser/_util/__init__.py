"""Helpers that every package shares: records, files, digests and types. Standard library only."""
