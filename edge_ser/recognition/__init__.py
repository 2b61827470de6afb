"""From audio to events: windows, their predictions, and the loop over a source."""
