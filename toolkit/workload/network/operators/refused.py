"""Operators that are refused by name, and why."""

from __future__ import annotations

_DECODER = "runs a decoder an unknown number of steps; read its decoder as a network of its own"
_TEXT = "works on text, which is no part of what an accelerator runs"
_STATE = "carries the state of a recurrence; there is no rule for it"
_PAGES = "reads a cache in pages or by chosen positions, whose number depends on data"
_HASH = "looks up tokens by hashes, which depends on data"
_BINARY = "is the program of one device, not a description of what is computed"
_OPTIONAL = "works on optional values, whose presence depends on data"
_LOSS = "is a loss, which training computes"
_BLOCK_FLOAT = "has numbers that share an exponent, in a layout of one device"
_PACKED = "has weights packed in a format that is not described with the operator"
_ATTENTION = "is a form of attention that has no rule"
_STREAMS = "mixes parallel residual streams; there is no rule for it"

_MICROSOFT = {
    _ATTENTION: "DecoderAttention QOrderedLongformerAttention",
    "is a mixture of experts that has no rule": "MoEPacked MoEGroupRouter",
    _PAGES: "DynamicSparseAttention SparsePagedAttention SparseAttentionIndexer "
    "PackedSparseAttentionIndexer PackedSparseAttentionIndexerMerge",
    _STATE: "AttnLSTM ConvStateReplay GatedDeltaNet GatedDeltaNetStateReplay LinearAttention "
    "LinearAttentionGate Mamba2Verify VarlenCausalConvWithState",
    _STREAMS: "EngramGate HyperConnectionLowRankMix HyperConnectionPostMix HyperConnectionPreMix",
    _DECODER: "BeamSearch GreedySearch Sampling WhisperBeamSearch BifurcationDetector "
    "NGramRepeatBlock SpeculativePrefixCommit",
    _HASH: "MurmurHash3 NGramHashMapping VarlenNGramHashMapping",
    _TEXT: "Tokenizer WordConvEmbedding",
    _BINARY: "EPContext Snpe",
    _BLOCK_FLOAT: "DequantizeBFP QuantizeBFP",
    _PACKED: "GatherPacked MatMulFpQ4 MatMulPacked",
    "takes a sparse tensor, whose entries are not known": "SparseToDenseMatMul",
    "aligns sequences step by step, on one core": "DynamicTimeWarping",
    "computes a bias of one model family; there is no rule for it": "GatedRelativePositionBias",
    "fuses a normalization with a part of a rotation; there is no rule for it": "RMSNormRotary",
    "is a sample, not an operator of networks": "SampleOp",
}

_STANDARD = {
    _STATE: "CausalConvWithState LinearAttention",
    _OPTIONAL: "Optional OptionalGetElement OptionalHasElement",
    _LOSS: "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    _TEXT: "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer",
    "decodes files, which is no part of what an accelerator runs": "ImageDecoder",
    "prepares sound before the network runs": "MelWeightMatrix",
    "runs its body once per tensor of a list": "SequenceMap",
}

REFUSED: dict[str, str] = {
    name: reason for reason, names in _STANDARD.items() for name in names.split()
} | {
    f"com.microsoft.{name}": reason
    for reason, names in _MICROSOFT.items()
    for name in names.split()
}
"""Reasons by operator. With ``--unknown`` they are taken as others that are not known."""
