"""Sinks of events: each gets all that a source gives and all events that follow.

`base.BaseSink` is the class to derive a new one from; `recognition.listen` calls it.
"""
