"""A base, with an adapter or without, written in a format: read back, compared, and only then put in place.

Four models are compared on the same texts: base and adapter apart (the reference), both merged in float32,
the merged weights rounded in memory, and what was written. Merged against apart shows a mistake of the merge,
which float32 alone can't excuse. Rounded against merged is what the format costs; that is the tolerance.
Written against rounded shows a mistake of the file. Written against the reference is what is reported.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.adapters.adapter import LoraAdapter
from workbench.errors import InputError, unknown_name
from workbench.exporting.card import CARD_FILE, export_card
from workbench.exporting.merging import beside, merged_weights
from workbench.exporting.parity import (
    Difference,
    NotTheSame,
    Text,
    demand,
    difference,
    read_all,
    tolerance_of,
)
from workbench.exporting.texts import PROMPTS, RUNNING_TEXTS, as_read_by, asked, token_ids
from workbench.files import scratch_beside
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import ROUTER
from workbench.models.loaders import load_base
from workbench.models.tokenizer import Tokenizer
from workbench.models.writers import MODEL_FORMATS, ModelFormat, TellProgress, WholeModel
from workbench.models.writers.model import quiet
from workbench.models.writers.numbers import KINDS_OF_NUMBERS, Packed, rounded
from workbench.models.writers.sink import sink

FEW_BITS = 8
"""Below so many bits a weight, merging an adapter may cost more than keeping it apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, and how it was shown to be the same."""

    path: Path
    format: str
    bytes: int
    tokens: int
    """Tokens that were compared."""
    written: Difference
    """What was written against base and adapter apart."""
    tolerance: Difference
    """What it was allowed to be: from ``rounding``."""
    rounding: Difference
    """The merged weights, rounded in memory, against themselves in float32."""
    merged: Difference
    """The merged weights in float32 against base and adapter apart."""
    effect: Difference | None
    """The base with the adapter against the base alone; None without an adapter."""
    apart: Difference | None
    """Only the base rounded, the adapter beside it in float32, against the reference; None where this isn't
    asked: without an adapter, or in eight bits and more."""
    instead: Mapping[str, int]
    """How many matrices were stored in another kind of numbers than asked for, by that kind."""
    notes: tuple[str, ...] = ()

    @property
    def merging_costs_more(self) -> bool | None:
        """Whether the adapter merged is farther from the reference than the adapter kept apart."""
        return None if self.apart is None else self.written.kl > self.apart.kl


class _Compared(TypedDict):
    """What :class:`Exported` says of the comparisons."""

    written: Difference
    tolerance: Difference
    rounding: Difference
    merged: Difference
    effect: Difference | None
    apart: Difference | None


def export_model(
    base: Base,
    out: Path | str,
    format: str,
    *,
    adapter: LoraAdapter | None = None,
    prompts: Sequence[str] | None = None,
    heldout: Sequence[str] | None = None,
    largest_shard: int | None = None,
    description: str | None = None,
    progress: TellProgress = quiet,
) -> Exported:
    """Write a base with an adapter merged into it, after the written model was shown to be the same.

    Args:
        base: In float32; see ``load_base``.
        out: A file that may be there, or for a folder's format a folder that isn't.
        format: Key of ``MODEL_FORMATS``.
        adapter: What to merge; the base alone by default.
        prompts: On which the models are compared, asked through the base's chat template where there is one;
            some of our own by default.
        heldout: Running texts on which the loss is measured, too; some of our own by default.
        largest_shard: Bytes of one file of weights of a folder.
        description: What the model is, for whoever finds the file; a GGUF and a folder's card say it.
        progress: Told what is done.

    Raises:
        InputError: If the format is unknown, the adapter is another base's, a weight isn't finite, the place
            is taken, or the disk is full: nothing was changed.
        NotTheSame: If what was written isn't the same model within the tolerance: nothing was changed.
    """
    if format not in MODEL_FORMATS:
        raise unknown_name("format", format, MODEL_FORMATS, "src/workbench/models/writers/__init__.py")
    out, kind = Path(out), MODEL_FORMATS[format]
    refuse_place(out, kind)
    model = WholeModel(
        config=base.decoder.config,
        weights=merged_weights(base, adapter),
        tokenizer=base.tokenizer,
        name=out.stem if adapter is None else f"{Path(base.name).stem} with {Path(adapter.name).name}",
        licence=base.licence,
        description=description,
        source=base.path if base.path.is_dir() else None,
    )
    texts = compared_texts(base.tokenizer, base.decoder.config.context, prompts, heldout)
    kinds = kind.kinds(model.shapes)
    with scratch_beside(out) as scratch:
        place = scratch / out.name
        kind.write(place, model, kinds, progress, largest_shard)
        found = _compared(base, adapter, model, kinds, kind, place, texts, progress)
        if kind.is_folder:
            card = export_card(base, adapter, format, found["written"], found["tolerance"], description)
            with sink(place / CARD_FILE) as file:
                file.write(card.encode())
            if out.is_dir():
                out.rmdir()  # it is empty
        os.replace(place, out)
        _keep_name(out.parent)
    files = [out] if out.is_file() else [file for file in out.rglob("*") if file.is_file()]
    return Exported(
        path=out,
        format=format,
        bytes=sum(file.stat().st_size for file in files),
        tokens=sum(len(text.tokens) for text in texts),
        instead=_instead(model, kind, kinds),
        notes=_notes(base, adapter),
        **found,
    )


def compared_texts(
    tokenizer: Tokenizer, context: int, prompts: Sequence[str] | None, heldout: Sequence[str] | None
) -> list[Text]:
    """Return the texts as the base reads them; those of one token, about which there is nothing to say, not.

    Raises:
        InputError: If none is left.
    """
    prompts = PROMPTS if prompts is None else prompts
    said = zip(asked(tokenizer, prompts), prompts, strict=True)
    heldout = RUNNING_TEXTS if heldout is None else heldout
    running = ((as_read_by(tokenizer, text), text) for text in heldout)
    texts = [
        Text(text, token_ids(tokenizer, text, context), is_heldout, prompt)
        for some, is_heldout in ((said, False), (running, True))
        for text, prompt in some
    ]
    texts = [text for text in texts if len(text.tokens) > 1]
    if not texts:
        raise InputError("none of the prompts has two tokens that this base reads; give longer ones")
    return texts


def _compared(
    base: Base,
    adapter: LoraAdapter | None,
    model: WholeModel,
    kinds: Mapping[str, str],
    format: ModelFormat,
    place: Path,
    texts: Sequence[Text],
    progress: TellProgress,
) -> _Compared:
    """Read back what was written and compare; each decoder is gone before the next one is made."""
    exact = base.decoder
    if exact.precision != "float32":
        exact = Decoder(exact.config, exact.weights)
    reference = read_all(exact, texts, beside(base, adapter))
    progress("comparing", 1, 4)
    effect = None if adapter is None else difference(texts, read_all(exact, texts, {}), reference)
    del exact
    whole = reference
    if adapter is not None:
        whole = read_all(_decoder(model, dict.fromkeys(kinds, "f32")), texts, {})
    merged = difference(texts, reference, whole)
    demand(merged, tolerance_of(_none()), "the merged weights don't say what base and adapter say")
    progress("comparing", 2, 4)
    in_memory = _decoder(model, kinds)
    expected = read_all(in_memory, texts, {})
    rounding = difference(texts, whole, expected)
    progress("comparing", 3, 4)
    again = load_base(place)
    if words := other_texts(base.tokenizer, again.tokenizer, texts):
        raise NotTheSame(
            f"what was written reads and ends texts in another way: {'; '.join(words)}. --format safetensors "
            "keeps a folder's tokenizer as it is."
        )
    said = read_all(again.decoder, texts, {})
    file = difference(texts, expected, said)
    demand(file, tolerance_of(_none()), "what was written isn't what was to be written")
    _demand_equal_weights(in_memory, again.decoder)
    written, tolerance = difference(texts, reference, said), tolerance_of(rounding)
    demand(written, tolerance, "what was written is farther from base and adapter than its rounding explains")
    del again, in_memory
    progress("comparing", 4, 4)
    apart = None
    if adapter is not None and KINDS_OF_NUMBERS[format.matrices].bits < FEW_BITS:
        alone = WholeModel(
            config=model.config,
            weights=merged_weights(base, None),
            tokenizer=model.tokenizer,
            name=model.name,
        )
        apart = difference(texts, reference, read_all(_decoder(alone, kinds), texts, beside(base, adapter)))
    return {
        "written": written,
        "tolerance": tolerance,
        "rounding": rounding,
        "merged": merged,
        "effect": effect,
        "apart": apart,
    }


def _none() -> Difference:
    """Return the difference of a model from itself."""
    return Difference(kl=0.0, largest=0.0, agreement=1.0, loss=0.0)


def _decoder(model: WholeModel, kinds: Mapping[str, str]) -> Decoder:
    """Return a decoder of weights that were rounded in memory."""
    return Decoder(model.config, {name: _numbers(name, model.weights[name], kinds[name]) for name in kinds})


def _numbers(name: str, weight: Packed, kind: str) -> Tensor | QuantizedTensor:
    packed = rounded(name, weight, kind)
    return packed if isinstance(packed, QuantizedTensor) else packed.to(torch.float32)


def _demand_equal_weights(expected: Decoder, found: Decoder) -> None:
    """Refuse a file that holds other numbers, also where no text asks for them."""
    names = sorted({*expected.weights} ^ {*found.weights}) or [
        name for name in expected.weights if not torch.equal(expected.weight(name), found.weight(name))
    ]
    if names:
        raise NotTheSame(f"what was written isn't what was to be written: {names[0]} holds other numbers.")


def other_texts(ours: Tokenizer, theirs: Tokenizer, texts: Sequence[Text]) -> list[str]:
    """Return how a written tokenizer differs from the base's, each as a few words; nothing if it doesn't."""
    words = [
        f"{what} is {found!r}, expected {expected!r}"
        for what, expected, found in (
            ("the set of tokens that end an answer", sorted(ours.stops), sorted(theirs.stops)),
            ("the end mark", ours.eos, theirs.eos),
            ("the token before a text", ours.bos, theirs.bos),
            ("the padding token", ours.pad, theirs.pad),
        )
        if expected != found
    ]
    if ours.chat_template != theirs.chat_template:
        words.append("the chat template is another")
    for text in texts:
        if list(ours.encode(text.text)) != list(theirs.encode(text.text)):
            words.append(f"{text.text[:60]!r} is cut into other tokens")
            break
    return words


def refuse_place(out: Path, format: ModelFormat) -> None:
    """Refuse a place that can't be written to before anything is computed."""
    if format.is_folder and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise InputError(f"{out} is there already; give the name of a folder that isn't, or move it away")
    if not format.is_folder and out.is_dir():
        raise InputError(f"{out} is a folder; give the name of a file, such as {out / 'model.gguf'}")
    if not format.is_folder and out.suffix.lower() != ".gguf":
        raise InputError(f"{out}: this format is a GGUF; give a name that ends in .gguf")


def _keep_name(folder: Path) -> None:
    """Wait until the disk knows the new name, so that a power failure leaves the old file or the new one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _instead(model: WholeModel, format: ModelFormat, kinds: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, shape in model.shapes.items():
        asked_for = format.vocabulary if name in ("embedding", "head") else format.matrices
        if len(shape) == 2 and not name.endswith(ROUTER) and kinds[name] != asked_for:
            counts[kinds[name]] = counts.get(kinds[name], 0) + 1
    return counts


def _notes(base: Base, adapter: LoraAdapter | None) -> tuple[str, ...]:
    if adapter is None or Path(adapter.base).stem in (
        Path(base.name).stem,
        base.path.stem,
        base.path.parent.stem,
    ):
        return ()
    return (
        f"the adapter names the base {adapter.base!r}, and this is {base.name!r}; their shapes fit, and more "
        "isn't known",
    )
