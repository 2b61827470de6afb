"""Fixtures: a small model, its labelled clips, its evaluation and its profile."""

from evaluated import card, evaluation, heard_evaluation, model, site, site_dir  # noqa: F401
from profiled import model_path, profiled  # noqa: F401
