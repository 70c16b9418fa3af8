"""Small SentencePiece models, trained by the library itself."""

import io
from functools import cache
from pathlib import Path

import pytest
import tiny_chat
from piece_model import UNIGRAM, parse_model
from tiny_vocabularies import AWKWARD, read_vocabulary

sentencepiece = pytest.importorskip("sentencepiece", reason="isn't installed: pip install -e '.[test]'")

SENTENCES = [
    *(text.replace("\0", " ") for text in AWKWARD if text.strip() and len(text) < 300),
    *tiny_chat.texts()[:300],
    "ﬁne ﬂow ①②③ Ａｂｃ ｶﾞ ㍿ e\u0301 ½",
]


@cache
def trained(**options) -> bytes:
    """A model file."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=written,
        **{"vocab_size": 420, "minloglevel": 3, "num_threads": 1, "hard_vocab_limit": False, **options},
    )
    return written.getvalue()


def processor(model: bytes):
    """The library's own tokenizer of a model file."""
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def metadata_of(model, **fields):
    """The fields of a GGUF, as llama.cpp's converter of T5 writes them."""
    found = parse_model(model)
    assert found.model == UNIGRAM
    return {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": found.pieces,
        "tokenizer.ggml.scores": found.scores,
        "tokenizer.ggml.token_type": found.kinds,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": found.space_prefix,
        "tokenizer.ggml.remove_extra_whitespaces": found.merges_spaces,
        **({"tokenizer.ggml.precompiled_charsmap": found.characters} if found.characters else {}),
        **fields,
    }


def read(metadata):
    """Our tokenizer of it: a file's bytes are read as a list of numbers."""
    return read_vocabulary(
        Path("toy.gguf"),
        {key: list(value) if isinstance(value, bytes) else value for key, value in metadata.items()},
    )
