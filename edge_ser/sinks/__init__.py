"""Event sinks: each receives all items of a source and all events.

Derive new sinks from `base.BaseSink`; `recognition.listen` calls them.
"""
