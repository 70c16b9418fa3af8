"""The SentencePiece tokenizer of T5 and other unigram models, as llama.cpp runs it from a GGUF.

Pieces have log-probabilities; a text is cut so that their sum is largest (Viterbi's algorithm). A character
without a piece is the unknown token, or its UTF-8 bytes where the model says so. Before that, characters are
exchanged by a table that came with the model, and spaces become visible blocks.

Source: Kudo, "Subword Regularization", arXiv:1804.10959; ties and the penalty of the unknown token are those
of llama.cpp (``llm_tokenizer_ugm``), the table is Kanda's XOR-compressed double array as SentencePiece's
``precompiled_charsmap`` holds it. One defect of llama.cpp isn't followed: it exchanges no character with
which a token of the user's begins, also where that token isn't there. SentencePiece does.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from workbench.errors import InputError
from workbench.models.sentencepiece import SPACE, Pieces

UNKNOWN_PENALTY = 10.0
"""How much worse an unknown character is than the worst piece."""
_LABEL, _LEAF, _WIDE, _VALUE = (1 << 31) | 0xFF, 1 << 8, 1 << 9, (1 << 31) - 1


class CharacterMap:
    """What text is exchanged before it is cut.

    ``data`` is the size of the double array in bytes (4 bytes, little end first), the array of 32-bit
    units, and the texts that it points to, each with a zero byte behind it. A unit has its label in bits 0 to
    7, whether a key ends here in bit 8, and where its children are in the upper ones.
    """

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:4], "little")
        if data and (len(data) < 4 or size % 4 or not 0 < size < len(data) - 4 or data[-1] != 0):
            raise ValueError(f"{len(data)} bytes that say to hold an array of {size}")
        self.data = data
        self.units: list[int] = np.frombuffer(data[4 : 4 + size], "<u4").tolist()
        self.texts = data[4 + size :]

    def apply(self, text: str) -> str:
        """Return the text with the longest key at each place exchanged.

        Raises:
            InputError: If the table points outside itself.
        """
        if not self.units:
            return text
        data, parts, place = text.encode(), [], 0
        while place < len(data):
            found = self._longest(data, place)
            if found is None:
                # one whole character: the bytes behind its first begin with the bits 10
                after = place + 1
                while after < len(data) and data[after] & 0xC0 == 0x80:
                    after += 1
                found = data[place:after], after
            parts.append(found[0])
            place = found[1]
        return b"".join(parts).decode(errors="replace")

    def _longest(self, data: bytes, start: int) -> tuple[bytes, int] | None:
        """Return what stands for the longest key that begins at ``start``, and where that ends."""
        found = None
        try:
            node = self._children(0)
            for place in range(start, len(data)):
                byte = data[place]
                node ^= byte
                unit = self.units[node]
                if byte == 0 or unit & _LABEL != byte:
                    break
                node ^= self._children(node)
                if unit & _LEAF:
                    text = self.units[node] & _VALUE
                    found = self.texts[text : self.texts.index(0, text)], place + 1
        except (IndexError, ValueError) as error:
            raise InputError(
                "the base's table of characters (precompiled_charsmap) points outside itself; get the base "
                "again"
            ) from error
        return found

    def _children(self, node: int) -> int:
        unit = self.units[node]
        return (unit >> 10) << ((unit & _WIDE) >> 6)


class Unigram(Pieces):
    """A backend of :class:`workbench.models.tokenizer.SubwordTokenizer`."""

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Sequence[float],
        special: Iterable[int],
        *,
        usable: Collection[int],
        worst: float,
        unknown: int,
        space_prefix: bool,
        strips: Collection[str] = (),
        merges_spaces: bool = False,
        characters: bytes = b"",
        byte_fallback: bool = False,
    ) -> None:
        """Make one.

        Args:
            pieces: Texts of all tokens.
            scores: Their log-probabilities.
            special: Tokens that stand for themselves wherever they are written.
            usable: Tokens that a text may be cut into.
            worst: The least log-probability, below which an unknown character's lies.
            unknown: The token of characters without a piece.
            space_prefix: Whether every piece of text begins with a space.
            strips: Special tokens that take the white space behind them along.
            merges_spaces: Whether several spaces count as one, and those at the ends as none.
            characters: See :class:`CharacterMap`.
            byte_fallback: Whether a character without a piece is its bytes.
        """
        super().__init__(pieces, special, space_prefix=space_prefix or merges_spaces, strips=strips)
        self.scores = scores
        self.unknown = unknown
        self.adds_space = space_prefix
        self.merges_spaces = merges_spaces
        self.characters = CharacterMap(characters)
        self.byte_fallback = byte_fallback
        self.usable = {pieces[token]: (token, scores[token]) for token in usable}
        self.longest = max(map(len, self.usable), default=0)
        self.unknown_score = float(np.float32(worst) - np.float32(UNKNOWN_PENALTY))

    def normalized(self, text: str) -> str:
        """Return what is cut into pieces."""
        text = self.characters.apply(text)
        if self.merges_spaces:
            words = [word for word in text.split(" ") if word]
            return "".join(SPACE + word for word in words)
        prefix = SPACE if self.adds_space and text.strip(" ") else ""
        return prefix + text.replace(" ", SPACE)

    def _encode_plain(self, text: str) -> list[int]:
        symbols = self.normalized(text)
        # by the end of each prefix: its best sum, where its last piece begins, and which that is
        best: list[tuple[float, int, int]] = [(0.0, 0, self.unknown)]
        best += [(-float("inf"), 0, self.unknown)] * len(symbols)
        for start in range(len(symbols)):
            total = best[start][0]
            single = False
            for end in range(start + 1, min(start + self.longest, len(symbols)) + 1):
                if (found := self.usable.get(symbols[start:end])) is not None:
                    single |= end == start + 1
                    if total + found[1] > best[end][0]:
                        best[end] = (total + found[1], start, found[0])
            if not single and total + self.unknown_score > best[start + 1][0]:
                best[start + 1] = (total + self.unknown_score, start, self.unknown)
        return self._back(symbols, best)

    def _back(self, symbols: str, best: Sequence[tuple[float, int, int]]) -> list[int]:
        """Return the tokens of the best cut; unknown characters side by side are one unknown token."""
        ids: list[int] = []
        end = len(symbols)
        while end > 0:
            _, start, token = best[end]
            if token != self.unknown:
                ids.append(token)
            elif self.byte_fallback:
                ids += [self.ids[f"<0x{byte:02X}>"] for byte in reversed(symbols[start:end].encode())]
            elif not ids or ids[-1] != self.unknown:
                ids.append(token)
            end = start
        return ids[::-1]
