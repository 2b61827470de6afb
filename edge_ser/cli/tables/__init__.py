"""Tables of the commands' output."""
