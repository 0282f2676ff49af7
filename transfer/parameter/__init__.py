"""Parameter transfer: how a model's weights are carried over to a labelled target. One file each."""

from transfer.parameter.full import Full
from transfer.parameter.probe import Probe

Tuning = Full | Probe

__all__ = ["Full", "Probe", "Tuning"]
