"""Power and energy: the sensors of a machine, and a meter that samples them."""
