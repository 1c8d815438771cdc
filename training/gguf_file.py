"""Writes and reads GGUF v3 files: metadata, tensors in F32 or Q8_0. Format: ggml's docs/gguf.md."""
import pathlib
import struct
from typing import Any, BinaryIO

import numpy as np

ALIGNMENT = 32
F32, Q8_0 = 0, 8
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def quantize_q8_0(weights: np.ndarray) -> bytes:
    """Returns blocks of 32 weights: d = max|w| / 127 as f16, then 32 signed bytes w / d, like ggml's quantize_row_q8_0_ref."""
    blocks = np.ascontiguousarray(weights, dtype=np.float32).reshape(-1, 32)
    d = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore"):
        inverse = np.where(d > 0, np.float32(1) / d, np.float32(0)).astype(np.float32)
    scaled = blocks * inverse
    quants = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)  # roundf: halves away from zero
    out = np.empty((len(blocks), 34), dtype=np.uint8)
    out[:, :2] = d.astype(np.float16).view(np.uint8)
    out[:, 2:] = quants.view(np.uint8)
    return out.tobytes()


def dequantize_q8_0(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse of quantize_q8_0, in f32."""
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, 34)
    d = raw[:, :2].copy().view(np.float16).astype(np.float32)
    return (raw[:, 2:].copy().view(np.int8).astype(np.float32) * d).reshape(shape)


def _string(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> tuple[int, bytes]:
    """Returns (type number, bytes). Lists contain strings. Plain ints are u32; numpy i32 arrays remain i32."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return STRING, _string(value)
    if isinstance(value, np.ndarray):
        kind = {np.dtype(np.int32): INT32, np.dtype(np.float32): FLOAT32}[value.dtype]
        return ARRAY, struct.pack("<IQ", kind, len(value)) + value.tobytes()
    if isinstance(value, list):
        return ARRAY, struct.pack("<IQ", STRING, len(value)) + b"".join(_string(v) for v in value)
    raise TypeError(type(value))


def write_gguf(path: pathlib.Path, metadata: dict[str, Any], tensors: list[tuple[str, np.ndarray, int]]) -> None:
    """tensors: (name, weights [..., rows, cols], type). GGUF lists the fastest dimension first."""
    datas = [quantize_q8_0(w) if kind == Q8_0 else np.ascontiguousarray(w, np.float32).tobytes() for _, w, kind in tensors]
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, value in metadata.items():
            kind, data = _value(value)
            file.write(_string(key) + struct.pack("<I", kind) + data)
        offset = 0
        for (name, weights, kind), data in zip(tensors, datas):
            dims = weights.shape[::-1]
            file.write(_string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset))
            offset += -(-len(data) // ALIGNMENT) * ALIGNMENT
        _pad(file)
        for data in datas:
            file.write(data)
            _pad(file)
    temporary.replace(path)


def _pad(file: BinaryIO) -> None:
    file.write(b"\0" * (-file.tell() % ALIGNMENT))


def _read(file: BinaryIO, form: str) -> Any:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0]


def _read_string(file: BinaryIO) -> str:
    return file.read(_read(file, "Q")).decode("utf-8")


def _read_value(file: BinaryIO, kind: int) -> Any:
    forms = {UINT32: "I", INT32: "i", FLOAT32: "f", BOOL: "?"}
    if kind == STRING:
        return _read_string(file)
    if kind == ARRAY:
        of, count = _read(file, "I"), _read(file, "Q")
        return [_read_value(file, of) for _ in range(count)]
    return _read(file, forms[kind])


def read_gguf(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a file that `write_gguf` wrote. Returns (metadata, tensors in f32, [..., rows, cols])."""
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF" and _read(file, "I") == 3, f"{path} is not a GGUF file of version 3"
        tensor_count, metadata_count = _read(file, "Q"), _read(file, "Q")
        metadata = {}
        for _ in range(metadata_count):
            key = _read_string(file)
            metadata[key] = _read_value(file, _read(file, "I"))
        places = []
        for _ in range(tensor_count):
            name, rank = _read_string(file), _read(file, "I")
            dims = [_read(file, "Q") for _ in range(rank)]
            places.append((name, tuple(dims[::-1]), _read(file, "I"), _read(file, "Q")))
        start = -(-file.tell() // ALIGNMENT) * ALIGNMENT
        tensors = {}
        for name, shape, kind, offset in places:
            file.seek(start + offset)
            count = int(np.prod(shape))
            if kind == Q8_0:
                tensors[name] = dequantize_q8_0(file.read(count // 32 * 34), shape)
            else:
                tensors[name] = np.frombuffer(file.read(count * 4), np.float32).reshape(shape)
    return metadata, tensors
