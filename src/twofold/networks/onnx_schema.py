"""The messages of ONNX as far as a network may use them: the number of each field, and how it is written.

Of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. What has a text instead is refused.
"""

from typing import Final

from twofold.networks.protobuf import BYTES, FIXED32, FIXED64, VARINT, Kind, Kinds

_TEXT: Final = Kind((BYTES,))
_INT: Final = Kind((VARINT,))
_MANY: Final = Kind((BYTES,), repeated=True)
_INTS: Final = Kind((VARINT, BYTES), repeated=True)
_FLOATS: Final = Kind((FIXED32, BYTES), repeated=True)
_SPARSE: Final = "sparse tensors, which are not read here"
_WITHIN: Final = "a graph within an operator, which may run for ever"

MODEL: Final[Kinds] = {
    1: _INT,  # ir_version
    2: _TEXT,  # producer_name
    3: _TEXT,  # producer_version
    4: _TEXT,  # domain
    5: _INT,  # model_version
    6: _TEXT,  # doc_string
    7: _TEXT,  # graph
    8: _MANY,  # opset_import
    14: _MANY,  # metadata_props
    20: "a way to train it, which is not read here",
    25: "functions of its own, which are not read here",
    26: "devices of its own, which are not read here",
}
OPSET: Final[Kinds] = {1: _TEXT, 2: _INT}  # domain, version
GRAPH: Final[Kinds] = {
    1: _MANY,  # node
    2: _TEXT,  # name
    5: _MANY,  # initializer
    10: _TEXT,  # doc_string
    11: _MANY,  # input
    12: _MANY,  # output
    13: _MANY,  # value_info
    14: _MANY,  # quantization_annotation
    15: _SPARSE,
    16: _MANY,  # metadata_props
}
NODE: Final[Kinds] = {
    1: _MANY,  # input
    2: _MANY,  # output
    3: _TEXT,  # name
    4: _TEXT,  # op_type
    5: _MANY,  # attribute
    6: _TEXT,  # doc_string
    7: _TEXT,  # domain
    9: _MANY,  # metadata_props
}
ATTRIBUTE: Final[Kinds] = {
    1: _TEXT,  # name
    2: Kind((FIXED32,)),  # f
    3: _INT,  # i
    4: _TEXT,  # s
    5: _TEXT,  # t
    6: _WITHIN,
    7: _FLOATS,  # floats
    8: _INTS,  # ints
    9: _MANY,  # strings
    10: _MANY,  # tensors
    11: _WITHIN,
    13: _TEXT,  # doc_string
    20: _INT,  # type
    22: _SPARSE,
    23: _SPARSE,
}
TENSOR: Final[Kinds] = {
    1: _INTS,  # dims
    2: _INT,  # data_type
    4: _FLOATS,  # float_data
    5: _INTS,  # int32_data
    7: _INTS,  # int64_data
    8: _TEXT,  # name
    9: _TEXT,  # raw_data
    10: Kind((FIXED64, BYTES), repeated=True),  # double_data
    11: _INTS,  # uint64_data
    12: _TEXT,  # doc_string
    13: "data outside the file, which is not read here",
    14: _INT,  # data_location
    16: _MANY,  # metadata_props
}
VALUE: Final[Kinds] = {1: _TEXT, 2: _TEXT, 3: _TEXT, 4: _MANY}  # name, type, doc_string, metadata_props
TYPE: Final[Kinds] = {1: _TEXT, 6: _TEXT}  # tensor_type, denotation
TENSOR_TYPE: Final[Kinds] = {1: _INT, 2: _TEXT}  # elem_type, shape
SHAPE: Final[Kinds] = {1: _MANY}  # dim
DIMENSION: Final[Kinds] = {1: _INT, 2: _TEXT, 3: _TEXT}  # dim_value, dim_param, denotation
