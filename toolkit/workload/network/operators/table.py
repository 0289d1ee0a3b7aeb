"""The table of operators: what each one costs.

Keys are ONNX's names; operators of other domains carry their domain. Three kinds have no rule,
because they leave no layer: `CONSTANT` operators are known before the network runs, `CONTROL`
operators are replaced by their bodies, and `LISTS` are taken apart into their tensors.
"""

from __future__ import annotations

from toolkit.plug_ins import loaded
from toolkit.workload.network.operators import attention, convolution, products, rotary
from toolkit.workload.network.operators import vector as v
from toolkit.workload.network.operators.call import Operator
from toolkit.workload.network.operators.experts import EXPERTS
from toolkit.workload.network.operators.fused import FUSED
from toolkit.workload.network.operators.microsoft_attention import ATTENTION
from toolkit.workload.network.operators.normalizations import NORMALIZATIONS
from toolkit.workload.network.operators.output_shapes import same
from toolkit.workload.network.operators.packed import PACKED
from toolkit.workload.network.operators.qonnx import QONNX
from toolkit.workload.network.operators.quantized import QUANTIZED
from toolkit.workload.network.operators.refused import REFUSED
from toolkit.workload.network.operators.runtime import RUNTIME
from toolkit.workload.network.operators.vector import (
    elementwise,
    movement,
    reduction,
    view,
    window,
)

CONSTANT = {
    "Constant": "part of the file",
    "ConstantOfShape": "a weight where a layer uses it as one",
    "EyeLike": "computed before the network runs",
    "Range": "computed before the network runs",
    "Shape": "shapes are static",
    "Size": "shapes are static",
}
"""Operators that are constant once all shapes are known, and what becomes of them."""

CONTROL = {
    "If": "the branch taken; where that depends on data, the one of more MACs, with a warning",
    "Loop": "its body, as often as the constant trip count says; shapes must not change",
    "Scan": "its body, once per slice; shapes must not change",
}
"""Operators that are replaced by their bodies, and how."""

LISTS = {
    "ConcatFromSequence": "as Concat",
    "SequenceAt": "the tensor at a constant position",
    "SequenceConstruct": "a list",
    "SequenceEmpty": "a list",
    "SequenceErase": "a list",
    "SequenceInsert": "a list",
    "SequenceLength": "lengths are static",
    "SplitToSequence": "as Split",
}
"""Operators on lists of tensors, which are taken apart, and what becomes of them."""

_PAIRS_OF_SCALES = (1, 2, 4, 5, 6, 7)
"""Scales and zero points behind two quantized operands, and of the result."""

_EINSUM = {
    "Conv": Operator(
        "einsum",
        "1 to 3 axes; depthwise and grouped kernels; the sum starts from the bias",
        convolution.convolution,
        learned=(1, 2),
    ),
    "ConvInteger": Operator(
        "einsum", "as Conv", convolution.convolution, data=(0, 1), learned=(1,)
    ),
    "ConvTranspose": Operator(
        "einsum",
        "transposed kernel, repeated per group; cropped positions count",
        convolution.transposed_convolution,
        learned=(1, 2),
    ),
    "DeformConv": Operator(
        "einsum",
        "as Conv, and 7 operations per sampled element",
        convolution.deformable_convolution,
        learned=(1, 3),
    ),
    "Einsum": Operator("einsum", "two operands at a time", products.einsum),
    "Gemm": Operator(
        "einsum",
        "the sum starts from the bias; alpha and beta belong to it",
        products.general_matmul,
        learned=(0, 1, 2),
    ),
    "MatMul": Operator(
        "einsum",
        "gemm, or batched-gemm where both operands have it",
        products.matmul,
        learned=(0, 1),
    ),
    "MatMulInteger": Operator("einsum", "as MatMul", products.matmul, data=(0, 1), learned=(0, 1)),
    "QLinearConv": Operator(
        "einsum",
        "as Conv; scale, zero point and clip per output",
        convolution.qlinear_convolution,
        3,
        data=(0, 3, 8),
        learned=(3, 8),
        scales=_PAIRS_OF_SCALES,
    ),
    "QLinearMatMul": Operator(
        "einsum",
        "as MatMul; scale, zero point and clip per output",
        products.qlinear_matmul,
        3,
        data=(0, 3),
        learned=(0, 3),
        scales=_PAIRS_OF_SCALES,
    ),
    "LSTM": Operator(
        "einsum",
        "gemm over all steps, gemm per step, 22 operations per state on the gates",
        products.recurrent,
        22,
        learned=(1, 2, 3, 7),
    ),
    "GRU": Operator(
        "einsum",
        "gemm over all steps, gemm per step, 17 operations per state on the gates",
        products.recurrent,
        17,
        learned=(1, 2, 3),
    ),
    "RNN": Operator(
        "einsum",
        "gemm over all steps, gemm per step, 2 operations per state",
        products.recurrent,
        2,
        learned=(1, 2, 3),
    ),
    "Attention": Operator(
        "einsum",
        "two products per head, the softmax between them, without pairs masked as causal",
        attention.attention,
    ),
}

_ONE_OPERATION = (
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Ceil Cos Cosh Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf IsNaN Less "
    "LessOrEqual Log Mod Mul Neg Not Or Pow Reciprocal Relu Round Sign Sin Sinh Sqrt Sub Tan Tanh "
    "Where Xor"
)

_ELEMENTWISE = {name: elementwise(1, "") for name in _ONE_OPERATION.split()} | {
    "PRelu": elementwise(2, "compare, multiply", learned=(1,)),
    "LeakyRelu": elementwise(2, "compare, multiply"),
    "ThresholdedRelu": elementwise(1, "compare"),
    "Clip": elementwise(v.bounds, "one comparison per bound", data=(0,)),
    "Sigmoid": elementwise(4, "1 / (1 + exp(-x))"),
    "HardSigmoid": elementwise(4, "max(0, min(1, a * x + b))"),
    "HardSwish": elementwise(5, "x * max(0, min(1, a * x + b))"),
    "Swish": elementwise(5, "x / (1 + exp(-a * x))"),
    "SwiGLU": elementwise(6, "x / (1 + exp(-a * x)) * y"),
    "Mish": elementwise(4, "x * tanh(log(1 + exp(x)))"),
    "Gelu": elementwise(
        v.gelu_steps, "x / 2 * (1 + erf(x / sqrt(2))), 5; by tanh of a cubic polynomial 8"
    ),
    "Elu": elementwise(4, "compare; a * (exp(x) - 1)"),
    "Celu": elementwise(5, "compare; a * (exp(x / a) - 1)"),
    "Selu": elementwise(5, "compare; c * a * (exp(x) - 1)"),
    "Softplus": elementwise(3, "log(1 + exp(x))"),
    "Softsign": elementwise(3, "x / (1 + abs(x))"),
    "Shrink": elementwise(3, "two comparisons, a bias"),
    "Max": elementwise(v.all_operands, "one per further operand"),
    "Min": elementwise(v.all_operands, "one per further operand"),
    "Sum": elementwise(v.all_operands, "one per further operand"),
    "Mean": elementwise(v.all_operands, "one per further operand"),
    "BatchNormalization": elementwise(
        2, "scale and shift, statistics folded into them", learned=(1, 2)
    ),
    "QuantizeLinear": elementwise(3, "scale, zero point, clip", data=(0,)),
    "DequantizeLinear": elementwise(2, "zero point, scale", data=(0,)),
    "RotaryEmbedding": Operator(
        "elementwise",
        "two products and a sum; rows of the tables that are read",
        rotary.rotary_embedding,
        3,
    ),
    "Bernoulli": elementwise(2, "a random number, compare"),
    "RandomNormal": elementwise(1, "a random number"),
    "RandomNormalLike": elementwise(1, "a random number"),
    "RandomUniform": elementwise(1, "a random number"),
    "RandomUniformLike": elementwise(1, "a random number"),
    "AffineGrid": elementwise(6, "three or more products and sums"),
    "BlackmanWindow": elementwise(5, "two cosines", shapes=v.window_size),
    "HammingWindow": elementwise(3, "a cosine", shapes=v.window_size),
    "HannWindow": elementwise(3, "a cosine", shapes=v.window_size),
}

_REDUCTION = {
    "Softmax": reduction(5, "maximum, subtract, exp, sum, divide"),
    "LogSoftmax": reduction(5, "maximum, subtract, exp, sum, subtract"),
    "Hardmax": reduction(2, "maximum, compare"),
    "LayerNormalization": reduction(
        7, "mean 1, variance 3, normalize 1, scale and shift 2", data=(0, 1, 2), learned=(1, 2)
    ),
    "InstanceNormalization": reduction(
        7, "mean 1, variance 3, normalize 1, scale and shift 2", data=(0, 1, 2), learned=(1, 2)
    ),
    "GroupNormalization": reduction(
        7,
        "mean 1, variance 3, normalize 1, scale and shift 2",
        data=(0, 1, 2),
        learned=(1, 2),
        shapes=same,
    ),
    "RMSNormalization": reduction(4, "square, sum, normalize, scale", data=(0, 1), learned=(1,)),
    "MeanVarianceNormalization": reduction(5, "mean 1, variance 3, normalize 1", shapes=same),
    "LpNormalization": reduction(3, "power, sum, divide"),
    "LRN": reduction(v.neighbourhood, "squares summed over `size` channels, and 5 more"),
    "ReduceMax": reduction(1, "compare"),
    "ReduceMin": reduction(1, "compare"),
    "ReduceSum": reduction(1, "add"),
    "ReduceMean": reduction(1, "add"),
    "ReduceProd": reduction(1, "multiply"),
    "ReduceL1": reduction(2, "absolute value, add"),
    "ReduceL2": reduction(2, "square, add"),
    "ReduceSumSquare": reduction(2, "square, add"),
    "ReduceLogSum": reduction(1, "add"),
    "ReduceLogSumExp": reduction(2, "exp, add"),
    "GlobalAveragePool": reduction(1, "add"),
    "GlobalMaxPool": reduction(1, "compare"),
    "GlobalLpPool": reduction(2, "power, add"),
    "ArgMax": reduction(1, "compare"),
    "ArgMin": reduction(1, "compare"),
    "CumSum": reduction(1, "add"),
    "CumProd": reduction(1, "multiply"),
    "DynamicQuantizeLinear": reduction(5, "minimum, maximum, scale, zero point, clip"),
    "TopK": reduction(v.logarithm_steps, "a sort along the axis", bound=v.largest_kept),
    "NonMaxSuppression": reduction(
        8, "eight per box coordinate, one pass", data=(0, 1), bound=v.selected_boxes
    ),
    "NonZero": reduction(1, "compare", bound=v.nonzero_positions),
    "Unique": reduction(1, "compare", bound=v.unique_elements),
    "Det": reduction(1, "one per element and row"),
    "DFT": reduction(v.transform_steps, "5 log2(size), a fast Fourier transform"),
    "STFT": Operator(
        "reduction",
        "5 log2(frame) per output, fast Fourier transforms",
        v.per_output,
        v.transform_steps,
        data=(0, 2),
    ),
    "Multinomial": reduction(5, "cumulated probabilities, compare"),
}

_WINDOW = {
    "MaxPool": window(v.taps, "a comparison per element of the window"),
    "AveragePool": window(v.taps, "an addition per element of the window"),
    "LpPool": window(lambda call: 2 * v.taps(call), "a power and an addition per element"),
    "MaxRoiPool": window(8, "eight comparisons per output"),
    "RoiAlign": window(v.roi_samples, "eight per sample"),
}

_UPDATED = "elements of the output; of the updates alone where nobody else reads the old tensor"

_MOVEMENT = {
    "Concat": movement(
        "every element that leaves the network; others are read side by side",
        data=None,
        shapes=v.joined,
    ),
    "Split": movement("every element"),
    "Slice": movement("elements kept", shapes=v.sliced, bound=v.operand_shape),
    "Pad": movement("elements of the output"),
    # Tables of codes bring the scales of their blocks along (GatherBlockQuantized).
    "Gather": movement("elements of the output", data=(0, 1), scales=(2, 3)),
    "GatherElements": movement("elements of the output", data=(0, 1)),
    "GatherND": movement("elements of the output", data=(0, 1)),
    "Scatter": movement(
        _UPDATED,
        data=None,
        learned=(),
        shapes=same,
    ),
    "ScatterElements": movement(_UPDATED, data=None, learned=()),
    "ScatterND": movement(_UPDATED, data=None, learned=()),
    "TensorScatter": movement(_UPDATED, data=None, learned=()),
    "Transpose": movement("every element"),
    "Resize": movement(
        "elements of the output; 2 operations per neighbour that is interpolated",
        operations=v.interpolation,
    ),
    "Upsample": movement(
        "elements of the output; 2 operations per neighbour that is interpolated",
        operations=v.interpolation,
    ),
    "GridSample": movement(
        "elements of the output; 2 operations per neighbour",
        data=(0, 1),
        operations=v.sampling,
    ),
    "Expand": movement("elements of the output"),
    "Tile": movement("elements of the output"),
    "DepthToSpace": movement("every element"),
    "SpaceToDepth": movement("every element"),
    "Col2Im": movement("elements of the output; an addition each", operations=1),
    "CenterCropPad": movement("elements of the output"),
    "Compress": movement("elements kept", data=(0, 1), bound=v.compressed),
    "MaxUnpool": movement("elements of the output", data=(0, 1)),
    "OneHot": movement("elements of the output"),
    "ReverseSequence": movement("every element", data=(0, 1)),
    "Trilu": movement("every element"),
}

_VIEW = {
    "Reshape": view("the same elements"),
    "Flatten": view("the same elements"),
    "Squeeze": view("the same elements"),
    "Unsqueeze": view("the same elements"),
    "Identity": view("the same elements"),
    "Dropout": view("the identity in inference"),
    "Cast": view("converted where the elements are read"),
    "CastLike": view("converted where the elements are read"),
    "BitCast": view("the same bits"),
}

_MICROSOFT = {f"com.microsoft.{name}": rule for name, rule in (ATTENTION | EXPERTS).items()}

OPERATORS: dict[str, Operator] = (
    _EINSUM
    | _ELEMENTWISE
    | _REDUCTION
    | _WINDOW
    | _MOVEMENT
    | _VIEW
    | FUSED
    | NORMALIZATIONS
    | PACKED
    | QUANTIZED
    | RUNTIME
    | QONNX
    | _MICROSOFT
)
"""Rules by operator."""

OPERATORS |= loaded("toolkit.operators", Operator, OPERATORS)


def operator_table() -> str:
    """The table of operators for the documentation, in Markdown, and those that are refused.

    Examples
    --------
    >>> print(operator_table().splitlines()[4])
    | Abs | elementwise | 1 | |
    """
    rows = ["| operator | cost class | operations per element | counted |", "|---|---|---|---|"]
    for name, rule in sorted(OPERATORS.items()):
        operations = rule.operations if isinstance(rule.operations, int) else "as counted"
        rows.append(f"| {name} | {rule.cost_class} | {operations} | {rule.cost} |")
    for kind, names in (("constant", CONSTANT), ("control", CONTROL), ("list", LISTS)):
        rows += [f"| {name} | {kind} | 0 | {cost} |" for name, cost in names.items()]
    known = [f"{len(rows) - 2} operators are known.", ""]
    refused = ["", f"{len(REFUSED)} operators are refused by name:", ""]
    refused += ["| operator | why: it … |", "|---|---|"]
    refused += [f"| {name} | {reason} |" for name, reason in sorted(REFUSED.items())]
    return "\n".join(known + rows + refused).replace("|  |", "| |")
