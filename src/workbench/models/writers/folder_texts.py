"""A tokenizer that didn't come with a Hugging Face folder, as the files of one.

``transformers`` and our own reader are to cut every text as the tokenizer itself does. What came of it is
read back and compared before it is used (see ``workbench.exporting``).
"""

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from workbench.models.sentencepiece import SPACE, SentencePiece
from workbench.models.tokenizer import CharacterTokenizer, LibraryBackend, SubwordTokenizer, Tokenizer
from workbench.models.unigram import Unigram
from workbench.models.writers.sink import sink

NOT_ONLY_SPACES = r"\A(?=[\s\S]*[^ ])"
"""Where a text begins that holds more than spaces."""


def write_texts(path: Path, tokenizer: Tokenizer) -> None:
    """Write tokenizer.json and what stands beside it into a folder.

    Raises:
        OSError: If the disk is full.
    """
    state, settings = library_state(tokenizer)
    if tokenizer.bos is not None:
        state["post_processor"] = _begins_with(_token_text(tokenizer, tokenizer.bos), tokenizer.bos)
    named = dict(getattr(tokenizer, "named", {}))
    if isinstance(tokenizer, CharacterTokenizer):
        named = dict(zip(("pad_token", "bos_token", "eos_token"), tokenizer.special, strict=True))
    settings |= named
    special = {key: named[key] for key in sorted(named)}
    _write(path / "tokenizer.json", json.dumps(state, ensure_ascii=False))
    _write(path / "tokenizer_config.json", json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True))
    _write(path / "special_tokens_map.json", json.dumps(special, ensure_ascii=False, indent=2))
    if tokenizer.chat_template is not None:
        with sink(path / "chat_template.jinja") as file:
            file.write(tokenizer.chat_template.encode())


def _write(path: Path, text: str) -> None:
    with sink(path) as file:
        file.write((text + "\n").encode())


def library_state(tokenizer: Tokenizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what tokenizer.json holds, and what tokenizer_config.json says of how to read it.

    Raises:
        TypeError: If the tokenizer is of a kind that has neither.
    """
    fast: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    if isinstance(tokenizer, CharacterTokenizer):
        return _characters(tokenizer), fast
    backend = tokenizer.backend if isinstance(tokenizer, SubwordTokenizer) else None
    if isinstance(backend, LibraryBackend):
        state = json.loads(backend.library.to_str())
        # bytes without a token hold a place past the end of the vocabulary, which no row of a model has
        vocabulary = state["model"]["vocab"]
        absent = {text for text, place in vocabulary.items() if place >= backend.vocabulary}
        state["model"]["vocab"] = {text: place for text, place in vocabulary.items() if text not in absent}
        return state, fast
    if isinstance(backend, SentencePiece):
        return _pieces(backend), fast
    if isinstance(backend, Unigram):
        return _unigram_state(backend), fast
    raise TypeError(f"a tokenizer of the kind {tokenizer.name!r} has no tokenizer.json")


def _characters(tokenizer: CharacterTokenizer) -> dict[str, Any]:
    symbols = (*tokenizer.special, *tokenizer.alphabet)
    library = tokenizers.Tokenizer(models.BPE({symbol: place for place, symbol in enumerate(symbols)}, []))
    library.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    library.decoder = decoders.Fuse()
    library.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in tokenizer.special]
    )
    return json.loads(library.to_str())


def _pieces(backend: SentencePiece) -> dict[str, Any]:
    """Write scores as merges: two pieces join where what they make is a piece, the best score first.

    Source: ``SentencePieceExtractor.generate_merges`` of transformers.
    """
    merges = []
    for piece, place in backend.ids.items():
        cuts = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        merges += [
            (-backend.scores[place], backend.ids[left], backend.ids[right], left, right)
            for left, right in cuts
            if left in backend.ids and right in backend.ids and piece not in backend.special
        ]
    merges.sort()
    library = tokenizers.Tokenizer(
        models.BPE(
            dict(backend.ids),
            [(left, right) for *_, left, right in merges],
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    # not Metaspace, which puts no space before a text that begins with one
    prepend = [normalizers.Prepend(SPACE)] if backend.space_prefix else []
    library.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", SPACE)])
    strip = [decoders.Strip(content=" ", left=1)] if backend.space_prefix else []
    library.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    library.add_special_tokens(
        [
            AddedToken(text, normalized=False, special=True, rstrip=text in backend.strips)
            for text in sorted(backend.special, key=backend.ids.__getitem__)
        ]
    )
    return json.loads(library.to_str())


def _unigram_state(backend: Unigram) -> dict[str, Any]:
    """Write a unigram model with what is done to a text before it, step by step."""
    steps: list[normalizers.Normalizer] = []
    if backend.characters.data:
        steps.append(normalizers.Precompiled(backend.characters.data))
    if backend.merges_spaces:
        steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace(Regex(r"\A | \z"), "")]
    if backend.merges_spaces or backend.adds_space:
        steps.append(normalizers.Replace(Regex(NOT_ONLY_SPACES), SPACE))
    steps.append(normalizers.Replace(" ", SPACE))
    library = tokenizers.Tokenizer(
        models.Unigram(
            list(zip(backend.pieces, backend.scores, strict=True)), backend.unknown, backend.byte_fallback
        )
    )
    library.normalizer = normalizers.Sequence(steps)
    strip = [decoders.Strip(content=" ", left=1)] if backend.space_prefix else []
    library.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    library.add_special_tokens(
        [
            AddedToken(text, normalized=False, special=True, rstrip=text in backend.strips)
            for text in sorted(backend.special, key=backend.ids.__getitem__)
        ]
    )
    return json.loads(library.to_str())


def _token_text(tokenizer: Tokenizer, token: int) -> str:
    return tokenizer.decode([token])


def _begins_with(text: str, token: int) -> dict[str, Any]:
    """Return the post-processor that puts a token before every text."""
    processor = tokenizers.processors.TemplateProcessing(
        single=f"{text} $A", pair=f"{text} $A {text} $B", special_tokens=[(text, token)]
    )
    library = tokenizers.Tokenizer(models.BPE())
    library.post_processor = processor
    return json.loads(library.to_str())["post_processor"]
