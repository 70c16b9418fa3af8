"""A SentencePiece model file (tokenizer.model, spiece.model), read without its library.

It is a message of protocol buffers: pieces with scores and kinds, how they were trained, and how a text is
changed before it is cut. What its reader doesn't know it passes over, as the format says.

Source: ``sentencepiece_model.proto`` of SentencePiece, and the wire format of protocol buffers.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

UNIGRAM, BPE = 1, 2
"""Kinds of models that are read here."""
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Kinds of pieces."""
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_LONGEST_VARINT = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceModel:
    """What a SentencePiece model file holds."""

    pieces: list[str]
    scores: list[float]
    kinds: list[int]
    model: int
    """``UNIGRAM``, ``BPE``, or another."""
    byte_fallback: bool
    characters: bytes
    """The table by which characters are exchanged."""
    space_prefix: bool
    merges_spaces: bool
    """Whether several spaces count as one."""
    escapes_spaces: bool
    space_behind: bool
    """Whether a word's space stands behind it."""


def parse_model(data: bytes) -> PieceModel:
    """Read a model file.

    Raises:
        ValueError: If it isn't one, or is damaged.
    """
    pieces, scores, kinds = [], [], []
    trainer: dict[int, int | float | bytes] = {}
    normalizer: dict[int, int | float | bytes] = {}
    for number, value in _fields(data):
        if number == 1:
            piece = dict(_fields(_as_bytes(value)))
            pieces.append(_as_bytes(piece.get(1, b"")).decode())
            scores.append(float(_number(piece.get(2, 0.0))))
            kinds.append(int(_number(piece.get(3, NORMAL))))
        elif number == 2:
            trainer = dict(_fields(_as_bytes(value)))
        elif number == 3:
            normalizer = dict(_fields(_as_bytes(value)))
    if not pieces:
        raise ValueError("it holds no pieces")
    return PieceModel(
        pieces=pieces,
        scores=scores,
        kinds=kinds,
        model=int(_number(trainer.get(3, UNIGRAM))),
        byte_fallback=bool(trainer.get(35, 0)),
        characters=_as_bytes(normalizer.get(2, b"")),
        space_prefix=bool(normalizer.get(3, 1)),
        merges_spaces=bool(normalizer.get(4, 1)),
        escapes_spaces=bool(normalizer.get(5, 1)),
        space_behind=bool(trainer.get(24, 0)),
    )


def _as_bytes(value: int | float | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number stands where a text or a message is expected")
    return value


def _number(value: int | float | bytes) -> int | float:
    if isinstance(value, bytes):
        raise ValueError("a text stands where a number is expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield number and value of each field of a message."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        size = {_DOUBLE: 8, _FLOAT: 4}.get(kind, 0)
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif not size:
            raise ValueError(f"it has a field of the unknown kind {kind}")
        if place + size > len(data):
            raise ValueError(f"it ends {place + size - len(data)} bytes too early")
        part = data[place : place + size]
        yield number, struct.unpack("<f" if kind == _FLOAT else "<d", part)[0] if kind != _BYTES else part
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count in range(_LONGEST_VARINT):
        if place >= len(data):
            raise ValueError("it ends in the middle of a number")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place
    raise ValueError("it holds a number of more than ten bytes")
