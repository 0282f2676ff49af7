"""Instances: which texts and examples of a source are worth learning from. One file each, one line each."""

from transfer.instance.nearest import Nearest
from transfer.stage import methods_in

METHODS = methods_in(__name__)
