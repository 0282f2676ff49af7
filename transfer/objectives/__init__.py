"""Self-supervised objectives: how a model learns a domain from its raw text. One file each."""

from transfer.objectives.contrastive import SimCSE
from transfer.objectives.masked import Masked

Adaptation = Masked | SimCSE

__all__ = ["Adaptation", "Masked", "SimCSE"]
