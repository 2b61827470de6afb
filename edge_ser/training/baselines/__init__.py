"""Baselines without torch: the majority class, and openSMILE functionals with a linear SVM.

Baselines have no epochs to select, so they are trained on the validation clips as well.
"""

from __future__ import annotations

from edge_ser.training.baselines.functionals import FeatureSet, Functionals
from edge_ser.training.baselines.majority import Majority
from edge_ser.training.baselines.svm import FunctionalsSvm, SvmConfig

__all__ = ["FeatureSet", "Functionals", "FunctionalsSvm", "Majority", "SvmConfig"]
