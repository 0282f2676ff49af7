"""Supervised sources: other tasks' labelled examples teach the model, before the target's or beside them."""

from transfer.multitask.auxiliary import Auxiliary
from transfer.multitask.cross_stitch import CrossStitch
from transfer.multitask.hard import HardSharing
from transfer.multitask.intermediate import Intermediate
from transfer.multitask.reptile import Reptile
from transfer.multitask.soft import SoftSharing
from transfer.stage import methods_in

METHODS = methods_in(__name__)
ADAPTING = {name: method for name, method in METHODS.items() if method.kind == "adapt"}
TUNING = {name: method for name, method in METHODS.items() if method.kind == "tune"}
