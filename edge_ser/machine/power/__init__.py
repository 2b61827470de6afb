"""Power and energy: the sensors a machine has, and a meter over them."""
