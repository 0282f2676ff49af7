"""Self-supervised objectives: adapt a model to a domain's raw text. One file per objective, one import per file."""

from transferline.core.stage import methods_in
from transferline.methods.objectives.causal import Causal
from transferline.methods.objectives.contrastive import SimCSE
from transferline.methods.objectives.denoising import Denoising
from transferline.methods.objectives.masked import Masked
from transferline.methods.objectives.next_sentence import NextSentence
from transferline.methods.objectives.permuted import Permuted
from transferline.methods.objectives.vocabulary import Vocabulary

METHODS = methods_in(__name__)
