"""Small SentencePiece models, trained by the library itself."""

import io
from functools import cache

import pytest
import tiny_chat
from tiny_vocabularies import AWKWARD

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
