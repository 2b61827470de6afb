"""Facts about this machine: what it is, how fast it may run, what is installed. No other packages."""
