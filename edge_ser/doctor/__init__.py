"""`edge-ser doctor`: does this machine have what each use needs, and what to do where it has not."""
