"""Instances: which texts and examples of a source are worth learning from. One file each, one line each."""

from transferline.core.stage import methods_in
from transferline.methods.instance.density_ratio import DensityRatio
from transferline.methods.instance.nearest import Nearest
from transferline.methods.instance.pooled import Pooled
from transferline.methods.instance.similar import Similar
from transferline.methods.instance.tradaboost import TrAdaBoost

METHODS = methods_in(__name__)
SELECTING = {name: method for name, method in METHODS.items() if method is Nearest}
"""raw text of the domain, in `adapt`"""
INSTANCES = {name: method for name, method in METHODS.items() if method is not Nearest}
"""labelled examples of other targets, in `instances`"""
