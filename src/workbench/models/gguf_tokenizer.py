"""Tokenizers out of a GGUF's metadata, and back into it.

A byte-level BPE is rebuilt with the library ``tokenizers``. The metadata names its pre-tokenizer, which
cuts text into words before merges apply (see :mod:`workbench.models.pre_tokenizers`).
"""

from collections import Counter
from collections.abc import Callable
from math import isfinite
from typing import Any

import tokenizers
from gguf.constants import TokenType
from tokenizers import AddedToken, Regex, models, pre_tokenizers

from workbench.errors import ANOTHER_BASE, InputError, unknown_name
from workbench.models.gguf_container import GgufFile, command_without
from workbench.models.pre_tokenizers import PRE_TOKENIZERS
from workbench.models.sentencepiece import SentencePiece
from workbench.models.tokenizer import (
    CharacterTokenizer,
    LibraryBackend,
    SubwordBackend,
    SubwordTokenizer,
    Tokenizer,
)
from workbench.models.unigram import Unigram

PRE_TOKENIZERS_IN = "src/workbench/models/pre_tokenizers.py"
CHARACTER = "workbench-character"
"""Our own value of ``tokenizer.ggml.model``, for a character tokenizer."""


def read_tokenizer(file: GgufFile) -> Tokenizer:
    """Rebuild the tokenizer that a GGUF describes.

    Raises:
        InputError: If its fields are missing or don't fit together, or its kind isn't known.
    """
    fields = _Fields(file)
    kind = fields.text("model")
    if kind not in TOKENIZER_MODELS:
        unknown = unknown_name("tokenizer", kind, TOKENIZER_MODELS, __name__)
        raise InputError(f"{file.path}: tokenizer.ggml.model: {unknown} If it has another, {ANOTHER_BASE}.")
    return TOKENIZER_MODELS[kind](fields)


_PREFIX = "tokenizer.ggml."
READ_KEYS = frozenset(
    (
        *("model", "pre", "tokens", "token_type", "scores", "merges", "add_bos_token", "add_space_prefix"),
        *("remove_extra_whitespaces", "precompiled_charsmap"),
        *(f"{name}_token_id" for name in ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding")),
    )
)
"""Keys under ``tokenizer.ggml.`` that are used."""
HARMLESS_KEYS: dict[str, str] = {
    "add_eos_token": "an end behind the prompt, which is no part of asking; a response gets its own",
    "token_type_count": "of BERT's segments",
    "mask_token_id": "of models that fill gaps",
    "cls_token_id": "of models that classify",
    **{f"{name}_token_id": "for code with a gap" for name in ("prefix", "suffix", "middle")},
    **{f"fim_{name}_token_id": "for code with a gap" for name in ("pre", "suf", "mid", "pad", "rep", "sep")},
}
"""Keys that change no token of a text here, each with what it is for."""
ALLOWED_VALUES: dict[str, tuple[Any, ...]] = {
    "add_sep_token": (False,),
    "normalizer.lowercase": (False,),
    "normalizer.strip_accents": (False,),
    "suppress_tokens": ([],),
}
"""Keys that would change the tokens, with the only values that leave them alone."""


class _Fields:
    """The ``tokenizer.ggml`` fields of a file, checked as they are read."""

    def __init__(self, file: GgufFile) -> None:
        self.path = file.path
        self.all = {key: value for key, value in file.metadata.items() if key.startswith("tokenizer.")}
        self.check_keys()
        found: list[str] = self.list_of(str, "tokens")
        # as llama.cpp reads them: a text ends at a NUL, and one that is empty gets a name
        texts = [text.partition("\0")[0] for text in found]
        self.tokens = [text or f"[EMPTY_{place}]" for place, text in enumerate(texts)]
        if len(set(self.tokens)) != len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise self.error("tokens", f"holds {twice[:40]!r} more than once")
        name = file.metadata.get("general.name")
        self.strips = isinstance(name, str) and any(mark in name.lower() for mark in STRIPPING_NAMES)

    def error(self, field: str, what: str) -> InputError:
        return InputError(
            f"{self.path}: tokenizer.ggml.{field} {what}; convert the model anew with its tokenizer, or "
            f"{ANOTHER_BASE}."
        )

    def check_keys(self) -> None:
        """Refuse keys that would change the tokens, and those that nobody here knows."""
        strangers = []
        for key, value in self.all.items():
            if not key.startswith(_PREFIX):
                continue  # chat templates, and the same tokenizer in other formats
            field = key.removeprefix(_PREFIX)
            if field in ALLOWED_VALUES and value not in ALLOWED_VALUES[field]:
                raise self.error(field, f"is {str(value)[:40]}, which would change the tokens; not supported")
            if field not in READ_KEYS and field not in HARMLESS_KEYS and field not in ALLOWED_VALUES:
                strangers.append(key)
        if strangers:
            raise InputError(
                f"{self.path}: {', '.join(strangers)}: not known here, and it may change the tokens. If "
                f"llama.cpp doesn't use it for this model either, make a copy without it with "
                f"`{command_without(self.path, strangers)}` and give that; otherwise {ANOTHER_BASE}."
            )

    def get(self, field: str, kind: type, default: Any = None) -> Any:  # noqa: ANN401 - of the kind asked
        value = self.all.get(f"tokenizer.ggml.{field}", default)
        if value is not None and type(value) is not kind:
            raise self.error(field, f"is {str(value)[:40]!r}, expected {kind.__name__}")
        return value

    def text(self, field: str) -> str:
        value = self.get(field, str)
        if value is None:
            raise self.error(field, "is missing")
        return value

    def list_of(self, kind: type, field: str) -> list[Any]:
        values = self.get(field, list)
        if not values:
            raise self.error(field, "is missing or empty")
        if not all(type(value) is kind for value in values):
            raise self.error(field, f"holds something other than {kind.__name__}")
        return values

    def per_token(self, kind: type, field: str) -> list[Any]:
        values = self.list_of(kind, field)
        if len(values) != len(self.tokens):
            raise self.error(field, f"has {len(values)} entries for {len(self.tokens)} tokens")
        return values

    def token(self, field: str) -> int | None:
        value = self.get(f"{field}_token_id", int)
        if value is not None and not 0 <= value < len(self.tokens):
            raise self.error(f"{field}_token_id", f"is {value}, expected less than {len(self.tokens)}")
        return value

    def special(self) -> list[int]:
        """Return the tokens that stand for themselves wherever they are written."""
        kinds = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
        return [
            token
            for token, kind in enumerate(self.per_token(int, "token_type"))
            if kind in kinds or self.tokens[token] in CONTROL_TEXTS
        ]

    def stripping(self) -> frozenset[str]:
        """Return the special tokens that take the white space behind them along."""
        texts = (self.tokens[token] for token in self.special()) if self.strips else ()
        return frozenset(texts) - NEVER_STRIPPING


def _subword(fields: _Fields, name: str, backend: SubwordBackend, *, adds_bos: bool) -> SubwordTokenizer:
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding", "sep": "seperator"}
    known = {ours: fields.token(theirs) for ours, theirs in names.items()}
    bos, eos = known["bos"], known["eos"]
    template = fields.all.get("tokenizer.chat_template")
    if template is not None and type(template) is not str:
        raise InputError(f"{fields.path}: tokenizer.chat_template is no text; {ANOTHER_BASE}.")
    return SubwordTokenizer(
        name=name,
        backend=backend,
        vocabulary=len(fields.tokens),
        bos=bos if fields.get("add_bos_token", bool, adds_bos) else None,
        eos=eos,
        pad=known["pad"],
        chat_template=template,
        named={f"{name}_token": fields.tokens[token] for name, token in known.items() if token is not None},
        special=frozenset(fields.tokens[token] for token in fields.special() if fields.tokens[token].strip()),
        stops=frozenset(
            token for token in (eos, fields.token("eot"), fields.token("eom")) if token is not None
        ),
        gguf_metadata=fields.all,
    )


def _byte_level(fields: _Fields) -> SubwordTokenizer:
    name = fields.text("pre")
    if name not in PRE_TOKENIZERS:
        unknown = unknown_name("pre-tokenizer", name, PRE_TOKENIZERS, PRE_TOKENIZERS_IN)
        raise InputError(f"{fields.path}: tokenizer.ggml.pre: {unknown} If it has another, {ANOTHER_BASE}.")
    if fields.get("add_space_prefix", bool, False):
        raise fields.error("add_space_prefix", "is true, which byte-level tokenizers here don't do")
    pre = PRE_TOKENIZERS[name]
    vocabulary = {token: place for place, token in enumerate(fields.tokens)}
    merges = _merges(fields, vocabulary)
    # bytes without a token hold their place past the end of the vocabulary: see LibraryBackend
    absent = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(vocabulary))
    vocabulary |= {byte: place for place, byte in enumerate(absent, len(fields.tokens))}
    library = tokenizers.Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre.whole_words))
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in pre.patterns]
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.pre_tokenizer = pre_tokenizers.Sequence([*splits, words])
    library.decoder = tokenizers.decoders.ByteLevel()
    stripping = fields.stripping()
    library.add_special_tokens(
        [
            AddedToken(text, normalized=False, special=True, rstrip=text in stripping)
            for text in (fields.tokens[token] for token in fields.special())
        ]
    )
    backend = LibraryBackend(library, len(fields.tokens))
    return _subword(fields, f"byte-level BPE, {name}", backend, adds_bos=pre.adds_bos)


def _merges(fields: _Fields, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    pairs = []
    for merge in fields.list_of(str, "merges"):
        left, _, right = merge.partition(" ")
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise fields.error("merges", f"holds {merge[:40]!r}, which doesn't join two tokens to a third")
        pairs.append((left, right))
    return pairs


def _scores(fields: _Fields) -> list[float]:
    scores: list[float] = fields.per_token(float, "scores")
    if odd := [score for score in scores if not isfinite(score)]:
        raise fields.error("scores", f"holds {odd[0]}, expected finite numbers")
    return scores


def _sentencepiece(fields: _Fields) -> SubwordTokenizer:
    absent = [name for byte in range(256) if (name := f"<0x{byte:02X}>") not in fields.tokens]
    if absent:
        raise fields.error("tokens", f"lacks {absent[0]}, one of the 256 tokens for single bytes")
    backend = SentencePiece(
        fields.tokens,
        _scores(fields),
        fields.special(),
        space_prefix=fields.get("add_space_prefix", bool, True),
        strips=fields.stripping(),
    )
    return _subword(fields, "SentencePiece", backend, adds_bos=True)


def _unigram(fields: _Fields) -> SubwordTokenizer:
    kinds = fields.per_token(int, "token_type")
    cut_into = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED)
    # a token of the user's costs nothing
    scores = [
        0.0 if kind == TokenType.USER_DEFINED else score
        for kind, score in zip(kinds, _scores(fields), strict=True)
    ]
    normal = [score for kind, score in zip(kinds, scores, strict=True) if kind == TokenType.NORMAL]
    unknown = fields.token("unknown")
    if unknown is None:
        raise fields.error("unknown_token_id", "is missing, the token of characters without a piece")
    table = fields.get("precompiled_charsmap", list, [])
    if not all(type(byte) is int and -128 <= byte < 256 for byte in table):
        raise fields.error("precompiled_charsmap", "holds something other than bytes")
    try:
        backend = Unigram(
            fields.tokens,
            scores,
            fields.special(),
            usable=[token for token, kind in enumerate(kinds) if kind in cut_into],
            worst=min(normal, default=0.0),
            unknown=unknown,
            space_prefix=fields.get("add_space_prefix", bool, False),
            strips=fields.stripping(),
            merges_spaces=fields.get("remove_extra_whitespaces", bool, False),
            characters=bytes(byte & 0xFF for byte in table),
        )
    except ValueError as error:
        raise fields.error("precompiled_charsmap", f"is damaged ({error})") from error
    return _subword(fields, "SentencePiece unigram", backend, adds_bos=False)


def _character(fields: _Fields) -> CharacterTokenizer:
    special = CharacterTokenizer.special
    if tuple(fields.tokens[: len(special)]) != special:
        raise fields.error("tokens", f"begins with {fields.tokens[: len(special)]}, expected {list(special)}")
    alphabet = fields.tokens[len(special) :]
    if any(len(character) != 1 for character in alphabet):
        raise fields.error("tokens", "holds a token that isn't one character")
    return CharacterTokenizer("".join(alphabet))


CONTROL_TEXTS = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>"),
        *("<|eom_id|>", "<EOT>", "_<EOT>", "</s>", "<eos>", "<end_of_utterance>"),
    )
)
"""Texts that llama.cpp takes for control tokens whatever the file says (``llama_vocab::impl::load``)."""
STRIPPING_NAMES = ("phi-3", "phi3")
"""Models, by a part of ``general.name``, in which llama.cpp lets special tokens strip what is behind them:
a GGUF has no field for it."""
NEVER_STRIPPING = frozenset(("<unk>", "<s>", "<|endoftext|>"))
"""Special tokens of those models that leave it alone."""


TOKENIZER_MODELS: dict[str, Callable[[_Fields], Tokenizer]] = {
    "gpt2": _byte_level,
    "llama": _sentencepiece,
    "t5": _unigram,
    CHARACTER: _character,
}
"""By the value of ``tokenizer.ggml.model``."""


def tokenizer_metadata(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the metadata fields from which :func:`read_tokenizer` makes an equal tokenizer.

    Raises:
        InputError: If the tokenizer came from elsewhere than a GGUF and has no such fields.
    """
    if isinstance(tokenizer, CharacterTokenizer):
        normal, control = int(TokenType.NORMAL), int(TokenType.CONTROL)
        return {
            "tokenizer.ggml.model": CHARACTER,
            "tokenizer.ggml.tokens": [*tokenizer.special, *tokenizer.alphabet],
            "tokenizer.ggml.token_type": [control] * 3 + [normal] * len(tokenizer.alphabet),
            "tokenizer.ggml.bos_token_id": tokenizer.bos,
            "tokenizer.ggml.eos_token_id": tokenizer.eos,
            "tokenizer.ggml.padding_token_id": tokenizer.pad,
        }
    metadata = getattr(tokenizer, "gguf_metadata", None)
    if metadata is None:
        raise InputError(
            f"tokenizer {tokenizer.name!r} wasn't read from a GGUF and can't be written into one; keep the "
            "model as a safetensors folder."
        )
    return dict(metadata)
