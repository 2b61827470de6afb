"""Fit the last layer of a model to labelled recordings of a site, on the device, without torch."""
