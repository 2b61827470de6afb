"""Facts, power and process usage of the machine, from its system files and tools."""
