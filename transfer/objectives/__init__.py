"""Self-supervised objectives: how a model learns a domain from its raw text. One file each, one line each."""

from transfer.objectives.causal import Causal
from transfer.objectives.contrastive import SimCSE
from transfer.objectives.denoising import Denoising
from transfer.objectives.masked import Masked
from transfer.objectives.next_sentence import NextSentence
from transfer.objectives.permuted import Permuted
from transfer.objectives.vocabulary import Vocabulary
from transfer.stage import methods_in

METHODS = methods_in(__name__)
