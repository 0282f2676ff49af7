"""Custom architectures, registered with transformers' auto classes when this package is imported.

They are ordinary PreTrainedModels: after the import `AutoModel...from_pretrained(folder)` loads them. A served model of such an
architecture needs this package too. So a method uses a stock architecture wherever one can express it.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from transferline.models.networks.cross_stitch_network import CrossStitchConfig, CrossStitchForSequenceClassification
from transferline.models.networks.feature_network import (
    FeaturesConfig,
    FeaturesForSequenceClassification,
    FeaturesModel,
)
from transferline.models.networks.forest_network import ForestConfig, ForestForSequenceClassification
from transferline.models.networks.layered_network import LayeredConfig, LayeredForSequenceClassification
from transferline.models.networks.progressive_network import ProgressiveConfig, ProgressiveForSequenceClassification
from transferline.models.networks.recurrent import AwdLstmConfig, AwdLstmModel, BiLmConfig, BiLmModel
from transferline.models.networks.recurrent_heads import (
    AwdLstmForCausalLM,
    AwdLstmForSequenceClassification,
    BiLmForCausalLM,
    BiLmForSequenceClassification,
)
from transferline.models.networks.static_embeddings import StaticConfig, StaticForSequenceClassification, StaticModel

for _config, _encoder, _classifier in (
    (AwdLstmConfig, AwdLstmModel, AwdLstmForSequenceClassification),
    (BiLmConfig, BiLmModel, BiLmForSequenceClassification),
    (CrossStitchConfig, None, CrossStitchForSequenceClassification),
    (FeaturesConfig, FeaturesModel, FeaturesForSequenceClassification),
    (ForestConfig, None, ForestForSequenceClassification),
    (LayeredConfig, None, LayeredForSequenceClassification),
    (ProgressiveConfig, None, ProgressiveForSequenceClassification),
    (StaticConfig, StaticModel, StaticForSequenceClassification),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForSequenceClassification.register(_config, _classifier)
    if _encoder is not None:
        AutoModel.register(_config, _encoder)
AutoModelForCausalLM.register(AwdLstmConfig, AwdLstmForCausalLM)
AutoModelForCausalLM.register(BiLmConfig, BiLmForCausalLM)
