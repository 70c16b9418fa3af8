"""How byte-level BPE cuts a text into words, by the name that a GGUF gives it in ``tokenizer.ggml.pre``.

A GGUF names its pre-tokenizer and doesn't hold it. The patterns are llama.cpp's (``llm_tokenizer_bpe`` in
``src/llama-vocab.cpp``), for a GGUF is read as llama.cpp reads it. A name that isn't listed is refused, since
a wrong pattern gives almost the right tokens.

llama.cpp spells two patterns of tokenizer.json in another way, which means almost the same: it takes letters
outside ASCII for capitals and small letters alike, and a combining mark for no part of a word. Where they
differ, a base in a Hugging Face folder is read as its tokenizer.json says, one in a GGUF as by llama.cpp.
"""

from dataclasses import dataclass

GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
SPELLED_CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
"""English contractions in capitals and small letters, one by one."""
CASE_FREE_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
"""The same as tokenizer.json spells it."""

_LETTERS = r"|[^\r\n\p{L}\p{N}]?\p{L}+"
_LINES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + _LINES
_REST_WITH_SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _LINES
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
# llama.cpp's spelling: letters that aren't small, then letters that aren't capitals, both in ASCII alone
_UPPER, _LOWER = r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))"
# tokenizer.json's: by Unicode's categories, in which a mark may stand anywhere
_ANY_UPPER, _ANY_LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _cased(upper: str, lower: str, contraction: str, digits: str) -> str:
    """Return the pattern of words with at most one change from capitals to small letters."""
    return (
        f"{_BEFORE}{upper}*{lower}+{contraction}|{_BEFORE}{upper}+{lower}*{contraction}|{digits}"
        + _REST_WITH_SLASH
    )


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """How a text is cut into words, and two settings that go with it."""

    patterns: tuple[str, ...]
    """Applied one after the other, each to the pieces of the one before."""
    whole_words: bool = False
    """A word that is a token is taken as it is, whatever the merges say."""
    adds_bos: bool = False
    """Whether texts begin with the bos token when the metadata doesn't say."""
    original: tuple[str, ...] | None = None
    """The patterns of tokenizer.json, where llama.cpp's don't mean quite the same."""


_GPT2 = PreTokenizer((GPT2_WORDS,))
_DIGITS = PreTokenizer((r"\p{N}", GPT2_WORDS))
_CL100K = SPELLED_CONTRACTIONS + _LETTERS + r"|\p{N}{1,3}" + _REST
_LLAMA3 = PreTokenizer((_CL100K,), whole_words=True, adds_bos=True)
_DBRX = PreTokenizer((_CL100K,))
_QWEN2 = PreTokenizer((SPELLED_CONTRACTIONS + _LETTERS + r"|\p{N}" + _REST,))
_QWEN35 = PreTokenizer(
    (
        SPELLED_CONTRACTIONS
        + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
        + _LINES,
    )
)
_TEKKEN = PreTokenizer(
    (_cased(_UPPER, _LOWER, "", r"\p{N}"),),
    whole_words=True,
    adds_bos=True,
    original=(_cased(_ANY_UPPER, _ANY_LOWER, "", r"\p{N}"),),
)
_GPT4O = PreTokenizer(
    (_cased(_UPPER, _LOWER, SPELLED_CONTRACTIONS + "?", r"\p{N}{1,3}"),),
    original=(_cased(_ANY_UPPER, _ANY_LOWER, SPELLED_CONTRACTIONS + "?", r"\p{N}{1,3}"),),
)
_SEED = PreTokenizer((SPELLED_CONTRACTIONS + _LETTERS + r"|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + _LINES,))
_DEEPSEEK3 = PreTokenizer(
    (
        r"\p{N}{1,3}",
        "[一-龥぀-ゟ゠-ヿ]+",
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
        r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*" + _LINES,
    )
)
_DEEPSEEK_CODER = PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"))
_FALCON = PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", GPT2_WORDS, "[0-9][0-9][0-9]"))

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    **dict.fromkeys(("gpt-2", "olmo", "phi-2", "mpt", "jais", "trillion", "exaone4"), _GPT2),
    **dict.fromkeys(("granite-docling", "gigachat", "a.x-4.0", "mellum"), _GPT2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r"), _DIGITS),
    **dict.fromkeys(("codeshell", "exaone", "minerva-7b"), _DIGITS),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3"), _LLAMA3),
    **dict.fromkeys(("falcon-h1", "pixtral", "midm-2.0", "lfm2"), _LLAMA3),
    **dict.fromkeys(("dbrx", "smaug-bpe", "chatglm-bpe"), _DBRX),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "kormo", "megrez"), _QWEN2),
    **dict.fromkeys(("stablelm2", "hunyuan", "solar-open", "grok-2"), _QWEN2),
    "qwen35": _QWEN35,
    "tekken": _TEKKEN,
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2"), _GPT4O),
    "seed-coder": _SEED,
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm"), _DEEPSEEK3),
    "deepseek-coder": _DEEPSEEK_CODER,
    "falcon": _FALCON,
}
"""By the value of ``tokenizer.ggml.pre``."""
