"""The tokenizer of a Hugging Face folder, read as ``transformers`` reads it.

The cutting rules are in tokenizer.json. Which tokens begin and end a text, and how a chat is written, stands
beside it: in tokenizer_config.json, special_tokens_map.json, generation_config.json, config.json and
chat_template.jinja.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.sentencepiece import SPACE
from workbench.models.tokenizer import LibraryBackend, SubwordTokenizer

TEXT_FILES = (
    *("tokenizer_config.json", "special_tokens_map.json", "generation_config.json"),
    *("chat_template.jinja", "chat_template.json"),
)
"""Files beside tokenizer.json that are read here."""

_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTS = ("additional_special_tokens", "extra_special_tokens")
_LLAMA = ("LlamaTokenizer", "LlamaTokenizerFast")
AS_WRITTEN = ("mistral", "phi3", "olmo2", "granite")
"""Families (model_type) whose tokenizer.json ``transformers`` 5 follows whatever tokenizer_class says
(``models/auto/tokenization_auto.py``)."""
LLAMA_NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
"""What the class of LLaMA tokenizers takes where no file names its special tokens."""


def read_tokenizer(
    path: Path, vocabulary: int, config: Mapping[str, Any]
) -> tuple[SubwordTokenizer, tuple[str, ...]]:
    """Return the tokenizer of a folder, and what to know about how it was read.

    Args:
        path: The folder; it has a tokenizer.json.
        vocabulary: Rows of the base's embedding.
        config: What config.json says.

    Raises:
        InputError: If a file is missing or damaged, or belongs to another model.
    """
    file = path / "tokenizer.json"
    settings = _settings(path)
    try:
        library = tokenizers.Tokenizer.from_str(file.read_text(encoding="utf-8"))
    # the library raises a bare Exception for a file that it can't read
    except Exception as error:
        raise unreadable(file, error) from error
    is_llama, notes = _as_llama(library, settings, config.get("model_type"))
    named = (LLAMA_NAMES if is_llama else {}) | _named(settings)
    _add_special(library, [*named.values(), *_extra(settings)])
    if extra := [text for text, place in library.get_vocab().items() if place >= vocabulary]:
        raise InputError(
            f"{file} has {len(extra)} tokens more than the {vocabulary} rows of the base (vocab_size in "
            f"config.json), such as {extra[0]!r}. If the base never uses them, take them out of added_tokens "
            "in tokenizer.json; otherwise take tokenizer.json and config.json from one model."
        )
    library.no_padding()
    library.no_truncation()

    def token(name: str) -> int | None:
        return library.token_to_id(named[name]) if name in named else None

    eos, declared = token("eos_token"), _declared_ends(path, config)
    eos = next(iter(declared), None) if eos is None else eos
    if eos is not None and "eos_token" not in named and (text := library.id_to_token(eos)):
        named["eos_token"] = text
    before = library.encode("").ids
    template, more = _chat_template(path, settings)
    tokenizer = SubwordTokenizer(
        name="tokenizer.json",
        backend=LibraryBackend(library, vocabulary),
        vocabulary=vocabulary,
        # a tokenizer that ends each text with eos says nothing about how one begins
        bos=before[0] if before and before[0] != eos else None,
        eos=eos,
        pad=token("pad_token"),
        chat_template=template,
        named=named,
        special=frozenset(
            str(added.content)
            for added in library.get_added_tokens_decoder().values()
            if added.content.strip()
        ),
        stops=frozenset(declared) | ({eos} if eos is not None else set()),
    )
    return tokenizer, (*notes, *more)


def _settings(path: Path) -> dict[str, Any]:
    """Return tokenizer_config.json; where it lists no added tokens, special_tokens_map.json speaks too."""
    settings = read_json(path / "tokenizer_config.json", missing={})
    if "added_tokens_decoder" in settings:
        return settings
    return settings | read_json(path / "special_tokens_map.json", missing={})


def _text(value: Any, key: str = "content") -> str:  # noqa: ANN401 - a text, or an object that holds one
    found = value.get(key) if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


def _named(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of special tokens by the names that chat templates use."""
    named = {name: _text(settings[name]) for name in settings if name in _NAMES or name.endswith("_token")}
    return {name: text for name, text in named.items() if text}


def _extra(settings: Mapping[str, Any]) -> list[str]:
    values = [settings.get(name) or [] for name in _LISTS]
    decoder = settings.get("added_tokens_decoder")
    marked = list(decoder.values()) if isinstance(decoder, dict) else []
    special = [entry for entry in marked if isinstance(entry, dict) and entry.get("special")]
    listed = [entry for value in values for entry in (value.values() if isinstance(value, dict) else value)]
    return [text for entry in [*listed, *special] if (text := _text(entry))]


def _add_special(library: tokenizers.Tokenizer, texts: list[str]) -> None:
    """Let special tokens that stand beside tokenizer.json count as themselves wherever they are written."""
    known = {added.content for added in library.get_added_tokens_decoder().values()}
    for text in texts:
        # one that the vocabulary lacks has no row in the base
        if text not in known and library.token_to_id(text) is not None:
            library.add_special_tokens([AddedToken(text, normalized=False, special=True)])


def _as_llama(
    library: tokenizers.Tokenizer, settings: Mapping[str, Any], model_type: object
) -> tuple[bool, tuple[str, ...]]:
    """Let a LLaMA tokenizer put its space before the first word, as ``transformers`` 5 does.

    Returns whether it is one, and what to know about it.

    Conversions of the first LLaMA tokenizers say in tokenizer.json that every piece of text between special
    tokens begins with a space. Their class says that only the first one does, unless "legacy" is true, and
    ``transformers`` 5 follows the class (``models/llama/tokenization_llama.py``), though not in the families
    of :data:`AS_WRITTEN`.
    """
    metaspace = isinstance(library.pre_tokenizer, pre_tokenizers.Metaspace)
    prepend = library.pre_tokenizer is None and library.normalizer is not None
    model = library.model
    if settings.get("tokenizer_class") not in _LLAMA or model_type in AS_WRITTEN:
        return False, ()
    if not isinstance(model, models.BPE):
        return False, ()
    if not model.byte_fallback or not (metaspace or prepend):
        return False, ()
    before = library.to_str()
    space = settings.get("add_prefix_space")
    first = "always" if settings.get("legacy") else "first"
    scheme = first if space is None or space else "never"
    asks = "Prepend" if prepend else ""
    library.normalizer = normalizers.Sequence([])
    library.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    strip = [decoders.Strip(content=" ", left=1)] if scheme != "never" else []
    library.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    if asks and scheme == "first" and '"Prepend"' in before:
        return True, (
            "tokenizer.json puts a space before every piece of text, its class only before the first; read "
            "as its class says, as transformers 5 does",
        )
    return True, ()


def _declared_ends(path: Path, config: Mapping[str, Any]) -> list[int]:
    """Return the tokens at which a generation stops, as the folder's files state them."""
    generation = read_json(path / "generation_config.json", missing={})
    for source in (generation, config):
        value = source.get("eos_token_id")
        ends = value if isinstance(value, list) else [value]
        if found := [end for end in ends if isinstance(end, int) and not isinstance(end, bool)]:
            return found
    return []


def _chat_template(path: Path, settings: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return the template of plain chats, and what to know about it where there are only others.

    A file of its own goes before tokenizer_config.json, as in ``transformers``. Of several that have names it
    is the one called "default"; further ones, such as those in additional_chat_templates, are for tools and
    documents, which nobody has here.
    """
    if (file := path / "chat_template.jinja").is_file():
        try:
            return file.read_text(encoding="utf-8"), ()
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from error
    sources: dict[Path, Mapping[str, Any]] = {
        path / "chat_template.json": read_json(path / "chat_template.json", missing={})
    }
    sources[path / "tokenizer_config.json"] = settings
    for file, fields in sources.items():
        template = fields.get("chat_template")
        if isinstance(template, list):
            template = {_text(entry, "name"): _text(entry, "template") for entry in template}
        if isinstance(template, dict) and all(isinstance(text, str) and text for text in template.values()):
            if "default" in template or not template:
                return template.get("default"), ()
            names = ", ".join(repr(name) for name in template)
            return None, (
                f"{file.name} has several chat templates ({names}) and none called 'default': put the one to "
                "use into a file chat_template.jinja beside it",
            )
        if template is not None and not isinstance(template, str):
            raise InputError(
                f"{file}: chat_template is {type(template).__name__}, expected a text, or a list of names "
                "and templates. Put the template's text into a file chat_template.jinja beside it."
            )
        if template is not None:
            return template, ()
    return None, ()


def read_json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a JSON object; ``missing`` is what there is without the file.

    Raises:
        InputError: If it can't be read, or holds something else.
    """
    if missing is not None and not path.is_file():
        return missing
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not isinstance(value, dict):
        raise InputError(
            f"{path} holds a {type(value).__name__}, expected a JSON object; get the folder again, or "
            f"{ANOTHER_BASE}."
        )
    return value


def unreadable(path: Path, error: Exception) -> InputError:
    """Say that a file of a folder is missing or damaged."""
    return InputError(
        f"could not read {path}: {error}. Get the folder again, which needs config.json, model.safetensors "
        f"and tokenizer.json; or {ANOTHER_BASE}."
    )
