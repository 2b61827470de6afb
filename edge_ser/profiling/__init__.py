"""Latency of recognition by stage, and its cost in CPU, memory and energy: `edge-ser profile`."""
