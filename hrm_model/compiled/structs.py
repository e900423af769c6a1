"""What step.c is given, field by field: engine.h and products.h have the other side."""

from ctypes import POINTER, Structure, c_float, c_int64, c_void_p, sizeof


class Matrix(Structure):
    """A weight in panels."""

    _fields_ = (("packed", c_void_p), ("scale", c_void_p), ("kind", c_int64), ("is_wide", c_int64))


class Layer(Structure):
    """A layer's four weights."""

    _fields_ = tuple((name, Matrix) for name in ("gqkv", "out", "gate_up", "down"))


class Network(Structure):
    """A network's sizes and addresses."""

    _fields_ = (
        *((name, c_int64) for name in ("width", "heads", "head_dim", "feed", "vocab")),
        *((name, c_int64) for name in ("layers", "passes", "cycle", "threads")),
        *((name, c_float) for name in ("eps", "scale")),
        *((name, c_void_p) for name in ("embedding", "start", "cosine", "sine")),
        *((name, POINTER(Layer)) for name in ("fast", "slow")),
        ("head", Matrix),
        *((name, c_void_p) for name in ("keys", "values", "key_worth", "value_worth")),
        *((name, c_int64) for name in ("slot_size", "is_short", "kept")),
    )


class Step(Structure):
    """Tokens on their way through the layers."""

    _fields_ = (
        *((name, c_int64) for name in ("tokens", "wanted")),
        *((name, c_void_p) for name in ("id", "position", "readable", "page_at", "page", "wanted_row")),
        *((name, c_int64) for name in ("first_layer", "end_layer")),
        *((name, c_void_p) for name in ("slow", "fast", "x", "logits")),
    )


_FORMAT = 1  # of panels, as products.h reads them
LAYOUT = _FORMAT << 28 | sizeof(Network) << 16 | sizeof(Step)  # hrm_layout() of the library that this is for
