<<<<<<< HEAD
"""The machine that this runs on, as its own files and tools describe it: facts, power, processes."""
=======
"""Facts about this machine: what it is, how fast it may run, what is installed. No other packages."""
>>>>>>> f44cec39bc25b9fd111556fd7d5db44521176bca
