"""Tokenizers of the families as their Hugging Face folders hold them, over small vocabularies."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import tiny_chat
from tiny_vocabularies import AWKWARD
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    *(text.replace("\0", "") for text in AWKWARD),
    *tiny_chat.texts()[:200],
    "I'LL I'll don't DON'T we've " * 9,
    "camelCase HTTPServer " * 9,
]


@dataclass(frozen=True)
class Family:
    """What a folder's files say."""

    model_type: str
    tokenizer_class: str | None
    build: Callable[[], Tokenizer]
    bos: str | None
    eos: str
    settings: dict = field(default_factory=dict)


def split(pattern: str):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(*steps, special=(), plain=(), nfc=False, whole=False, bos=None, use_regex=False) -> Tokenizer:
    made = Tokenizer(models.BPE(ignore_merges=whole))
    made.normalizer = normalizers.NFC() if nfc else None
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    made.add_tokens([AddedToken(text, normalized=False, special=False) for text in plain])
    if bos is not None:
        template = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, made.token_to_id(bos))]
        )
        made.post_processor = processors.Sequence([processors.ByteLevel(), template])
    return made


def sentencepiece(special, *, kind, bos=None, plain=(), rstrip=()) -> Tokenizer:
    """BPE with byte fallback, whose merges are all pairs that make a piece, as conversions write them."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    learnt.train_from_iterator(TEXTS[-220:], trainers.BpeTrainer(vocab_size=350, show_progress=False))
    pieces = sorted(learnt.get_vocab(), key=learnt.get_vocab().__getitem__)
    alphabet = [chr(code) for code in range(33, 127)]
    order = [*special, *plain, *(f"<0x{byte:02X}>" for byte in range(256))]
    runs = ["▁" * count for count in range(1, 9)]
    order = list(dict.fromkeys([*order, *runs, "\n", "é", "中", "🌈", *alphabet, *pieces]))
    ids = {piece: place for place, piece in enumerate(order)}
    cuts = [(piece, piece[:cut], piece[cut:]) for piece in order for cut in range(1, len(piece))]
    own = {*order} - {*special, *plain}
    found = [(ids[p], ids[a], ids[b], a, b) for p, a, b in cuts if {p, a, b} <= own]
    merges = [(left, right) for *_, left, right in sorted(found)]
    made = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    strip = [decoders.Strip(" ", 1, 0)]
    if kind == "legacy":
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif kind == "metaspace":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        made.normalizer = normalizers.Replace(" ", "▁")
        made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        strip = []
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    made.add_special_tokens(
        [AddedToken(text, normalized=False, special=True, rstrip=text in rstrip) for text in special]
    )
    made.add_tokens([AddedToken(text, normalized=False, special=False) for text in plain])
    if bos is not None:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, made.token_to_id(bos))]
        )
    return made


LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>")
PHI3 = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
SPM = ("<unk>", "<s>", "</s>")
FAST = "PreTrainedTokenizerFast"

FAMILIES = {
    "llama 3": Family(
        "llama",
        FAST,
        lambda: byte_level(split(CL100K), special=LLAMA3, whole=True, bos=LLAMA3[0]),
        LLAMA3[0],
        "<|eot_id|>",
    ),
    "qwen 2": Family(
        "qwen2",
        "Qwen2Tokenizer",
        lambda: byte_level(split(QWEN), special=CHATML, nfc=True),
        None,
        "<|im_end|>",
        {"add_prefix_space": False, "add_bos_token": False, "pad_token": "<|endoftext|>"},
    ),
    "qwen 3": Family(
        "qwen3",
        "Qwen2Tokenizer",
        lambda: byte_level(split(QWEN), special=CHATML, plain=("<think>", "</think>"), nfc=True),
        None,
        "<|im_end|>",
        {"add_prefix_space": False, "add_bos_token": False, "pad_token": "<|endoftext|>"},
    ),
    "smollm 3": Family(
        "smollm3",
        FAST,
        lambda: byte_level(split(CL100K), special=LLAMA3, plain=("<think>",), whole=True),
        LLAMA3[0],
        "<|eot_id|>",
    ),
    "olmo 2": Family(
        "olmo2",
        "GPT2Tokenizer",
        lambda: byte_level(split(CL100K), special=CHATML),
        "<|endoftext|>",
        "<|endoftext|>",
        {"add_prefix_space": False},
    ),
    "granite": Family(
        "granite",
        "GPT2Tokenizer",
        lambda: byte_level(pre_tokenizers.Digits(individual_digits=True), special=CHATML, use_regex=True),
        "<|endoftext|>",
        "<|endoftext|>",
        {"add_prefix_space": False, "add_bos_token": False},
    ),
    "mistral nemo": Family(
        "mistral",
        FAST,
        lambda: byte_level(split(TEKKEN), special=(*SPM, "[INST]", "[/INST]"), whole=True, bos="<s>"),
        "<s>",
        "</s>",
    ),
    "llama 2": Family(
        "llama",
        "LlamaTokenizer",
        lambda: sentencepiece(SPM, kind="legacy", bos="<s>"),
        "<s>",
        "</s>",
        {"legacy": False, "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False},
    ),
    "mistral 7b": Family(
        "mistral",
        "LlamaTokenizer",
        lambda: sentencepiece((*SPM, "[INST]", "[/INST]"), kind="metaspace", bos="<s>"),
        "<s>",
        "</s>",
        {"legacy": False, "unk_token": "<unk>", "add_bos_token": True},
    ),
    "mistral 0.1": Family(
        "mistral",
        "LlamaTokenizer",
        lambda: sentencepiece(SPM, kind="legacy", bos="<s>"),
        "<s>",
        "</s>",
        {"legacy": True, "unk_token": "<unk>", "add_bos_token": True},
    ),
    "phi 3": Family(
        "phi3",
        "LlamaTokenizer",
        lambda: sentencepiece((*SPM, *PHI3), kind="legacy", rstrip=(*PHI3[1:], "</s>")),
        "<s>",
        "<|endoftext|>",
        {"legacy": False, "unk_token": "<unk>", "add_bos_token": False, "add_eos_token": False},
    ),
    "gemma 2": Family(
        "gemma2",
        "GemmaTokenizer",
        lambda: sentencepiece(GEMMA, kind="gemma", bos="<bos>", plain=("\n\n", "\n\n\n", "<h1>")),
        "<bos>",
        "<eos>",
        {"unk_token": "<unk>", "pad_token": "<pad>", "add_bos_token": True, "add_eos_token": False},
    ),
    "gemma 3": Family(
        "gemma3_text",
        "GemmaTokenizerFast",
        lambda: sentencepiece(GEMMA, kind="gemma", bos="<bos>", plain=("\n\n", "\n\n\n", "<h1>")),
        "<bos>",
        "<end_of_turn>",
        {"unk_token": "<unk>", "pad_token": "<pad>", "add_bos_token": True, "add_eos_token": False},
    ),
}


def write_family(folder: Path, name: str) -> int:
    """Write a family's tokenizer files; return how many tokens there are."""
    family = FAMILIES[name]
    folder.mkdir()
    made = family.build()
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": family.tokenizer_class,
        "bos_token": family.bos,
        "eos_token": family.eos,
        "clean_up_tokenization_spaces": False,
        **family.settings,
    }
    settings["added_tokens_decoder"] = {
        str(place): {
            "content": token.content,
            **{
                key: getattr(token, key)
                for key in ("lstrip", "rstrip", "normalized", "special", "single_word")
            },
        }
        for place, token in made.get_added_tokens_decoder().items()
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": family.model_type}))
    return made.get_vocab_size()
