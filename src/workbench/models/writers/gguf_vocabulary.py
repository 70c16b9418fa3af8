"""A tokenizer as the metadata of a GGUF, also one that came with a Hugging Face folder.

tokenizer.json holds the rules by which a text is cut; a GGUF names them. So only rules that have a name can
be written: a byte-level BPE whose pre-tokenizer is one of those known, and the BPE with byte tokens of LLaMA,
Mistral, Phi-3 and Gemma, which llama.cpp runs as SentencePiece. What came of it is read back and compared
before it is used (see ``workbench.exporting``).

Unicode's composed form (NFC), which Qwen's tokenizer.json asks for, has no name in a GGUF, and llama.cpp goes
without: a letter with its accent as a character of its own has other tokens there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf.constants import TokenType

from workbench.errors import InputError
from workbench.models.gguf_tokenizer import NEVER_STRIPPING, STRIPPING_NAMES, tokenizer_metadata
from workbench.models.pre_tokenizers import (
    CASE_FREE_CONTRACTIONS,
    GPT2_WORDS,
    PRE_TOKENIZERS,
    SPELLED_CONTRACTIONS,
)
from workbench.models.sentencepiece import SPACE
from workbench.models.tokenizer import LibraryBackend, SubwordTokenizer, Tokenizer

_ENDS = ("eos", "eot", "eom")
"""Fields for tokens at which a generation stops."""
_NOTHING = {"type": "Sequence", "normalizers": []}
_BLOCKS = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_PREPEND = {"type": "Prepend", "prepend": SPACE}
_AT_SPACES = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def vocabulary_metadata(tokenizer: Tokenizer, source: Path | None) -> dict[str, Any]:
    """Return the metadata fields of a tokenizer.

    Args:
        tokenizer: One that was read from a GGUF or a folder, or a character tokenizer.
        source: Where it came from, for messages.

    Raises:
        InputError: If its rules have no name in GGUF, or it has more tokens that end an answer than GGUF has
            fields.
    """
    backend = getattr(tokenizer, "backend", None)
    if not isinstance(tokenizer, SubwordTokenizer) or tokenizer.gguf_metadata is not None:
        return tokenizer_metadata(tokenizer)
    if not isinstance(backend, LibraryBackend):
        raise _unwritable(source, f"its tokenizer is {tokenizer.name!r}")
    state = json.loads(backend.library.to_str())
    model = state["model"]
    if model.get("type") != "BPE":
        raise _unwritable(source, f"tokenizer.json is of the type {model.get('type')!r}, not BPE")
    byte_tokens = bool(model.get("byte_fallback"))
    fields = _sentencepiece(state, source) if byte_tokens else _byte_level(state, source)
    _refuse_marks(state, source)
    tokens, kinds = _tokens(tokenizer, state, byte_tokens=byte_tokens)
    return {f"tokenizer.ggml.{key}": value for key, value in fields(tokens, kinds).items()} | _marks(
        tokenizer, tokens, source
    )


def _unwritable(source: Path | None, why: str) -> InputError:
    return InputError(
        f"{source or 'the base'}: {why}, for which GGUF has no name; write the model with "
        "--format safetensors instead"
    )


def _tokens(
    tokenizer: SubwordTokenizer, state: Mapping[str, Any], *, byte_tokens: bool
) -> tuple[list[str], list[int]]:
    """Return the text and the kind of every row of the embedding."""
    places = dict(state["model"]["vocab"])
    added = {entry["content"]: entry for entry in state.get("added_tokens", [])}
    places |= {text: entry["id"] for text, entry in added.items()}
    tokens = [f"[PAD{place}]" for place in range(tokenizer.vocabulary)]
    kinds = [int(TokenType.UNUSED)] * tokenizer.vocabulary
    for text, place in places.items():
        tokens[place] = text
        kinds[place] = int(TokenType.NORMAL)
        if byte_tokens and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            kinds[place] = int(TokenType.BYTE)
        if text in added:
            own = TokenType.CONTROL if added[text]["special"] else TokenType.USER_DEFINED
            # llama.cpp writes a token of the user's as it stands: one of blocks would lose its spaces
            blocks = byte_tokens and own == TokenType.USER_DEFINED and SPACE in text
            kinds[place] = int(TokenType.NORMAL if blocks else own)
    return tokens, kinds


def _refuse_marks(state: Mapping[str, Any], source: Path | None) -> None:
    """Refuse added tokens that take characters around them along, as far as llama.cpp can't be told."""
    added = {entry["content"]: entry for entry in state.get("added_tokens", [])}
    for mark in ("lstrip", "single_word"):
        if marked := [text for text, entry in added.items() if entry.get(mark)]:
            raise _unwritable(source, f"added_tokens of tokenizer.json marks {marked[0]!r} as {mark}")
    strips = {text for text, entry in added.items() if entry.get("rstrip")}
    wanted = {*added} - NEVER_STRIPPING
    if strips and (strips != wanted or not {*NEVER_STRIPPING, "</s>"} <= {*added}):
        odd = sorted(strips ^ wanted or NEVER_STRIPPING - {*added})[0]
        raise _unwritable(
            source,
            f"added_tokens of tokenizer.json lets {len(strips)} tokens strip what is behind them (rstrip), "
            f"and not as Phi-3 does: {odd!r}",
        )


def name_for_llama_cpp(name: str, tokenizer: Tokenizer) -> str:
    """Return the model's name, by which llama.cpp knows that special tokens strip what is behind them."""
    backend = getattr(tokenizer, "backend", None)
    strips = bool(getattr(backend, "strips", ()))
    if isinstance(backend, LibraryBackend):
        strips = any(added.rstrip for added in backend.library.get_added_tokens_decoder().values())
    told = any(mark in name.lower() for mark in STRIPPING_NAMES)
    return f"{name} (Phi-3)" if strips and not told else name


def _byte_level(state: Mapping[str, Any], source: Path | None) -> Any:  # noqa: ANN401 - a function
    if state.get("normalizer") not in (None, _NOTHING, {"type": "NFC"}):
        raise _unwritable(source, "tokenizer.json changes the text before it is cut (normalizer)")
    name = _pre_tokenizer(state)
    if name is None:
        raise _unwritable(source, "tokenizer.json cuts text into words by rules of its own (pre_tokenizer)")
    merges = [one if isinstance(one, str) else " ".join(one) for one in state["model"]["merges"]]

    def fields(tokens: list[str], kinds: list[int]) -> dict[str, Any]:
        return {"model": "gpt2", "pre": name, "tokens": tokens, "token_type": kinds, "merges": merges}

    return fields


def _pre_tokenizer(state: Mapping[str, Any]) -> str | None:
    """Return the first name in ``PRE_TOKENIZERS`` that cuts words as tokenizer.json says."""
    whole = state.get("pre_tokenizer") or {}
    steps = whole["pretokenizers"] if whole.get("type") == "Sequence" else [whole]
    patterns: list[str] = []
    for step in steps[:-1]:
        if step == {"type": "Digits", "individual_digits": True}:
            patterns.append(r"\p{N}")
        elif step.get("type") == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
            patterns.append(step["pattern"].get("Regex", ""))
        else:
            return None
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    patterns += [GPT2_WORDS] if last.get("use_regex", True) else []
    whole_words = bool(state["model"].get("ignore_merges"))
    wanted = [_plain(one) for one in patterns]
    return next(
        (
            name
            for name, pre in PRE_TOKENIZERS.items()
            if wanted in ([_plain(one) for one in pre.patterns], [_plain(one) for one in pre.original or ()])
            and pre.whole_words == whole_words
        ),
        None,
    )


def _plain(pattern: str) -> str:
    """Return a pattern in one of the spellings that mean the same."""
    return pattern.replace(SPELLED_CONTRACTIONS, CASE_FREE_CONTRACTIONS)


def _sentencepiece(state: Mapping[str, Any], source: Path | None) -> Any:  # noqa: ANN401 - a function
    """Give each piece the score that its merge's place in the list means: earlier is better."""
    prefix = _space_prefix(state, source)
    scores: dict[str, float] = {}
    for place, merge in enumerate(state["model"]["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        scores.setdefault(left + right, -float(place))

    def fields(tokens: list[str], kinds: list[int]) -> dict[str, Any]:
        worst = -float(len(state["model"]["merges"]) + 1)
        unknown = state["model"].get("unk_token")
        kinds = [
            int(TokenType.UNKNOWN) if text == unknown else kind
            for text, kind in zip(tokens, kinds, strict=True)
        ]
        return {
            "model": "llama",
            "pre": "default",
            "tokens": tokens,
            "scores": [scores.get(text, 0.0 if text == SPACE or len(text) > 1 else worst) for text in tokens],
            "token_type": kinds,
            "add_space_prefix": prefix,
        }

    return fields


def _space_prefix(state: Mapping[str, Any], source: Path | None) -> bool:
    """Return whether a piece of text gets a space in front; spaces become visible blocks, and nothing else.

    Raises:
        InputError: If tokenizer.json does anything else to a text.
    """
    whole, pre = state.get("normalizer") or _NOTHING, state.get("pre_tokenizer") or {}
    steps = whole["normalizers"] if whole.get("type") == "Sequence" else [whole]
    if steps and steps[-1] == _BLOCKS:
        # no space is left that Gemma's pre-tokenizer could cut at
        if steps[:-1] not in ([], [_PREPEND]):
            raise _unwritable(source, "tokenizer.json changes the text before it is cut (normalizer)")
        if pre not in ({}, _AT_SPACES):
            raise _unwritable(
                source, "tokenizer.json cuts text into words by rules of its own (pre_tokenizer)"
            )
        return steps[:-1] == [_PREPEND]
    if steps:
        raise _unwritable(source, "tokenizer.json changes the text before it is cut (normalizer)")
    if pre.get("type") != "Metaspace" or pre.get("split", True) or pre.get("replacement") != SPACE:
        raise _unwritable(source, "tokenizer.json cuts text into words by rules of its own (pre_tokenizer)")
    return pre.get("prepend_scheme", "always") != "never"


def _marks(tokenizer: SubwordTokenizer, tokens: list[str], source: Path | None) -> dict[str, Any]:
    """Return the tokens that begin, end and fill texts, and the chat template."""
    places = {text: place for place, text in enumerate(tokens)}
    names = {"bos": "bos", "unk": "unknown", "pad": "padding", "sep": "seperator"}
    fields: dict[str, Any] = {}
    for ours, theirs in names.items():
        text = tokenizer.named.get(f"{ours}_token")
        if text is not None and text in places:
            fields[f"{theirs}_token_id"] = places[text]
    if tokenizer.bos is not None:
        fields["bos_token_id"] = tokenizer.bos
    fields["add_bos_token"] = tokenizer.bos is not None
    ends = [] if tokenizer.eos is None else [tokenizer.eos]
    ends += sorted(tokenizer.stops - set(ends))
    if len(ends) > len(_ENDS):
        shown = ", ".join(repr(tokens[end]) for end in ends)
        raise _unwritable(source, f"it names {len(ends)} tokens that end an answer ({shown})")
    fields |= {f"{field}_token_id": end for field, end in zip(_ENDS, ends, strict=False)}
    template = {"tokenizer.chat_template": tokenizer.chat_template} if tokenizer.chat_template else {}
    return {f"tokenizer.ggml.{key}": value for key, value in fields.items()} | template
