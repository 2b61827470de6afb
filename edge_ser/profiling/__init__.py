"""How long recognition takes, stage by stage, and what it costs the machine: `edge-ser profile`."""
