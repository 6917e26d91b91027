"""The part of ONNX that a network may use: the fields of its messages, and its operators.

Field numbers and wire types are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. A field with a text instead of a
type is not supported; the text describes it for the error message.
"""

from typing import Final

from twofold.networks.protobuf import BYTES, FIXED32, FIXED64, VARINT, FieldKind, FieldKinds

_BYTES: Final = FieldKind((BYTES,))
_INT: Final = FieldKind((VARINT,))
_MANY: Final = FieldKind((BYTES,), repeated=True)
_INTS: Final = FieldKind((VARINT, BYTES), repeated=True)
_FLOATS: Final = FieldKind((FIXED32, BYTES), repeated=True)
_SPARSE: Final = "sparse tensors, which are not supported"
_SUBGRAPH: Final = "a graph within an operator, which may never end"

MODEL: Final[FieldKinds] = {
    1: _INT,  # ir_version
    2: _BYTES,  # producer_name
    3: _BYTES,  # producer_version
    4: _BYTES,  # domain
    5: _INT,  # model_version
    6: _BYTES,  # doc_string
    7: _BYTES,  # graph
    8: _MANY,  # opset_import
    14: _MANY,  # metadata_props
    20: "training information, which is not supported",
    25: "local functions, which are not supported",
    26: "device configurations, which are not supported",
}
OPSET: Final[FieldKinds] = {1: _BYTES, 2: _INT}  # domain, version
GRAPH: Final[FieldKinds] = {
    1: _MANY,  # node
    2: _BYTES,  # name
    5: _MANY,  # initializer
    10: _BYTES,  # doc_string
    11: _MANY,  # input
    12: _MANY,  # output
    13: _MANY,  # value_info
    14: _MANY,  # quantization_annotation
    15: _SPARSE,
    16: _MANY,  # metadata_props
}
NODE: Final[FieldKinds] = {
    1: _MANY,  # input
    2: _MANY,  # output
    3: _BYTES,  # name
    4: _BYTES,  # op_type
    5: _MANY,  # attribute
    6: _BYTES,  # doc_string
    7: _BYTES,  # domain
    9: _MANY,  # metadata_props
}
ATTRIBUTE: Final[FieldKinds] = {
    1: _BYTES,  # name
    2: FieldKind((FIXED32,)),  # f
    3: _INT,  # i
    4: _BYTES,  # s
    5: _BYTES,  # t
    6: _SUBGRAPH,
    7: _FLOATS,  # floats
    8: _INTS,  # ints
    9: _MANY,  # strings
    10: _MANY,  # tensors
    11: _SUBGRAPH,
    13: _BYTES,  # doc_string
    20: _INT,  # type
    22: _SPARSE,
    23: _SPARSE,
}
TENSOR: Final[FieldKinds] = {
    1: _INTS,  # dims
    2: _INT,  # data_type
    4: _FLOATS,  # float_data
    5: _INTS,  # int32_data
    7: _INTS,  # int64_data
    8: _BYTES,  # name
    9: _BYTES,  # raw_data
    10: FieldKind((FIXED64, BYTES), repeated=True),  # double_data
    11: _INTS,  # uint64_data
    12: _BYTES,  # doc_string
    13: "data outside the file, which is not supported",
    14: _INT,  # data_location
    16: _MANY,  # metadata_props
}
VALUE: Final[FieldKinds] = {1: _BYTES, 2: _BYTES, 3: _BYTES, 4: _MANY}  # name, type, doc_string, metadata_props
TYPE: Final[FieldKinds] = {1: _BYTES, 6: _BYTES}  # tensor_type, denotation
TENSOR_TYPE: Final[FieldKinds] = {1: _INT, 2: _BYTES}  # elem_type, shape
SHAPE: Final[FieldKinds] = {1: _MANY}  # dim
DIMENSION: Final[FieldKinds] = {1: _INT, 2: _BYTES, 3: _BYTES}  # dim_value, dim_param, denotation

_OPERATORS: Final = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast
BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat Constant
ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div
Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish
Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log
LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min
Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear
RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign RotaryEmbedding Round STFT Scatter ScatterElements
ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
SwiGLU Swish Tan Tanh TensorScatter ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
"""
_ELEMENTWISE: Final = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater
GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or
PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh
ThresholdedRelu Where Xor
"""
OPERATORS: Final = frozenset(_OPERATORS.split())
"""All operators that compute tensors from tensors, deterministically and with a size known beforehand.

Excluded are control flow (If, Loop, Scan, SequenceMap), which may never end; random operators; sequences, optionals, text and
files; training losses; and operators whose output size is a number in the data (EyeLike, windows, Mel matrices).
"""
ELEMENTWISE: Final = frozenset(_ELEMENTWISE.split())
"""The operators that compute each number of their output from one number of each input."""
