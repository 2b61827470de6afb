"""Former places of modules; they go with the next version."""
