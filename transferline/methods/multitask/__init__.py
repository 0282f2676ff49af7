"""Multitask and intermediate-task transfer: train on the labels of other tasks, before the target's or together with them."""

from transferline.core.stage import methods_in
from transferline.methods.multitask.auxiliary import Auxiliary
from transferline.methods.multitask.cross_stitch import CrossStitch
from transferline.methods.multitask.hard import HardSharing
from transferline.methods.multitask.intermediate import Intermediate
from transferline.methods.multitask.reptile import Reptile
from transferline.methods.multitask.soft import SoftSharing

METHODS = methods_in(__name__)
ADAPTING = {name: method for name, method in METHODS.items() if method.kind == "adapt"}
TUNING = {name: method for name, method in METHODS.items() if method.kind == "tune"}
