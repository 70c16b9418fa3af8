"""The SentencePiece tokenizer of the first LLaMA models, as llama.cpp runs it from a GGUF.

Pieces have scores instead of merge rules: neighbours are joined as long as together they are a piece, the
best score first and, among equals, the leftmost. A character without a piece becomes its UTF-8 bytes.

Source: Kudo and Richardson, "SentencePiece", arXiv:1808.06226; the order of ties is llama.cpp's.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from heapq import heappop, heappush

SPACE = "\u2581"
"""The visible block that stands for a space inside pieces."""


class Pieces:
    """What tokenizers of pieces have in common: special tokens stand for themselves, spaces are blocks."""

    def __init__(
        self, pieces: Sequence[str], special: Iterable[int], *, space_prefix: bool, strips: Collection[str]
    ) -> None:
        self.pieces = pieces
        self.special = {pieces[token] for token in special if pieces[token]}
        self.space_prefix = space_prefix
        self.strips = frozenset(strips)
        """Special tokens that take the white space behind them along."""
        self.ids = {piece: token for token, piece in enumerate(pieces)}
        self.bytes = {f"<0x{byte:02X}>": byte for byte in range(256)}
        longest_first = sorted(self.special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; special tokens in it count as themselves."""
        ids: list[int] = []
        place = 0
        while match := self._special.search(text, place):
            ids += [*self._encode_plain(text[place : match.start()]), self.ids[match.group()]]
            place = match.end()
            # what C's isspace knows: Unicode's other spaces stay
            while match.group() in self.strips and text[place : place + 1] in tuple(" \t\n\v\f\r"):
                place += 1
        return ids + self._encode_plain(text[place:])

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""
        data = b"".join(self._bytes_of(self.pieces[token]) for token in ids)
        return data.decode(errors="replace").removeprefix(" " if self.space_prefix else "")

    def _bytes_of(self, piece: str) -> bytes:
        if piece in self.bytes:
            return bytes([self.bytes[piece]])
        return (piece if piece in self.special else piece.replace(SPACE, " ")).encode()

    def _encode_plain(self, text: str) -> list[int]:
        """Return the ids of a text without special tokens."""
        raise NotImplementedError


class SentencePiece(Pieces):
    """A backend of :class:`workbench.models.tokenizer.SubwordTokenizer`."""

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Sequence[float],
        special: Iterable[int],
        *,
        space_prefix: bool,
        strips: Collection[str] = (),
    ) -> None:
        super().__init__(pieces, special, space_prefix=space_prefix, strips=strips)
        self.scores = scores

    def _encode_plain(self, text: str) -> list[int]:
        if not text:
            return []
        symbols = (" " + text if self.space_prefix else text).replace(" ", SPACE)
        return [token for piece in self._merge(list(symbols)) for token in self._ids_of(piece)]

    def _ids_of(self, piece: str) -> list[int]:
        if piece in self.ids:
            return [self.ids[piece]]
        return [self.ids[f"<0x{byte:02X}>"] for byte in piece.encode()]

    def _merge(self, symbols: list[str]) -> list[str]:
        """Join neighbours until none are a piece; a joined symbol takes the left one's place."""
        before = list(range(-1, len(symbols) - 1))
        after = list(range(1, len(symbols) + 1))
        candidates: list[tuple[float, int, int, str]] = []

        def propose(left: int, right: int) -> None:
            if left >= 0 and right < len(symbols) and (joined := symbols[left] + symbols[right]) in self.ids:
                heappush(candidates, (-self.scores[self.ids[joined]], left, right, joined))

        for right in range(1, len(symbols)):
            propose(right - 1, right)
        while candidates:
            _, left, right, joined = heappop(candidates)
            # an older candidate whose parts have since been joined to others
            if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != joined:
                continue
            symbols[left], symbols[right] = joined, ""
            after[left] = after[right]
            if after[right] < len(symbols):
                before[after[right]] = left
            propose(before[left], left)
            propose(left, after[left])
        return [symbol for symbol in symbols if symbol]
