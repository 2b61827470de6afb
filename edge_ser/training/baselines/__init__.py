"""Baselines on the same folds: the largest class, and functionals with a linear SVM.

No torch. Baselines learn from all clips that are not tested: having no epochs to choose, they get the
validation clips as well, and so are as strong as the fold allows.
"""

from __future__ import annotations

from edge_ser.training.baselines.functionals import FeatureSet, Functionals
from edge_ser.training.baselines.majority import Majority
from edge_ser.training.baselines.svm import FunctionalsSvm, SvmConfig

__all__ = ["FeatureSet", "Functionals", "FunctionalsSvm", "Majority", "SvmConfig"]
