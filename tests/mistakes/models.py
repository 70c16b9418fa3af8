"""Mistakes in what the frozen base computes, and in what adapters add to it."""

from mistakes_list import mistakes

DECODER, GENERATION = "src/workbench/models/decoder.py", "src/workbench/models/generation.py"
FOLDER, GGUF = "src/workbench/models/folder_config.py", "src/workbench/models/gguf_config.py"
LORA, FILES = "src/workbench/adapters/lora.py", "src/workbench/studies/adapter_files.py"

MISTAKES = [
    *mistakes(
        DECODER,
        "tests/workbench/models/test_decoder.py",
        (
            "the norms forget their epsilon",
            "self.weight(name), self.config.norm_epsilon",
            "self.weight(name), 1e-6",
        ),
        (
            "the base of the rotation is fixed",
            "self.config.rope_base ** -(half",
            "10_000.0 ** -(half",
        ),
        (
            "a longer context turns faster instead of slower",
            "/ self.config.rope_scale",
            "* self.config.rope_scale",
        ),
        (
            "the rotation turns the wrong way",
            "[low * cosine - high * sine, high * cosine + low * sine]",
            "[low * cosine + high * sine, high * cosine - low * sine]",
        ),
        (
            "the adapter of a layer is added to its neighbour",
            "(before, sum(ranks) - before - rank)",
            "(sum(ranks) - before - rank, before)",
        ),
        (
            "the block's second residual is dropped",
            "return hidden + fed",
            "return fed",
        ),
    ),
    *mistakes(
        GENERATION,
        "tests/workbench/models/test_decoder.py",
        (
            "query heads meet other keys while generating",
            "E J S D -> E (J share) S D",
            "E J S D -> E (share J) S D",
        ),
        (
            "a generated token's position is one too small",
            "pool.lengths + count, cache",
            "pool.lengths + count - 1, cache",
        ),
        (
            "the end token is written",
            "open_[place] = False\n            else:\n",
            "open_[place] = False\n            if True:\n",
        ),
    ),
    *mistakes(
        FOLDER,
        "tests/workbench/models/test_folder_settings.py",
        (
            "another epsilon where a folder names none",
            'settings.get("rms_norm_eps", 1e-6)',
            'settings.get("rms_norm_eps", 1e-5)',
        ),
        (
            "another rotation where a folder names none",
            "10_000.0 if base is None",
            "500_000.0 if base is None",
        ),
        (
            "a window does not shorten the context",
            "context=context if window is None else min(context, window),",
            "context=context,",
        ),
        ("a Mistral has one key head for each head", "grouped = 8 if kind", "grouped = heads if kind"),
    ),
    *mistakes(
        GGUF,
        "tests/workbench/models/test_gguf_settings.py",
        (
            "another rotation where a GGUF names none",
            '"rope.freq_base", 10_000.0',
            '"rope.freq_base", 500_000.0',
        ),
        ("an older file's scale is ignored", "return new or old or 1.0", "return new or 1.0"),
    ),
    *mistakes(
        LORA,
        "tests/workbench/adapters/test_lora.py",
        (
            "A begins five times too wide",
            "uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs),",
            "uniform_(-5 / math.sqrt(inputs), 5 / math.sqrt(inputs),",
        ),
        (
            "A is as wide as its rank asks, not its inputs",
            "uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs),",
            "uniform_(-1 / math.sqrt(cell.rank), 1 / math.sqrt(cell.rank),",
        ),
        (
            "A begins on one side of zero",
            "uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs),",
            "uniform_(0, 2 / math.sqrt(inputs),",
        ),
        ("all layers begin with the same A", 'f"adapter:{cell.seed}:{name}"', 'f"adapter:{cell.seed}"'),
        ("all seeds begin with the same A", 'f"adapter:{cell.seed}:{name}"', 'f"adapter:{name}"'),
        (
            "the update is scaled by the root of the rank",
            "cell.alpha / cell.rank for",
            "cell.alpha / cell.rank**0.5 for",
        ),
        (
            "the update is scaled by the stack's largest rank",
            "cell.alpha / cell.rank for",
            "cell.alpha / self.rank for",
        ),
        ("alpha is the whole scale", "[cell.alpha / cell.rank for", "[cell.alpha for"),
    ),
    *mistakes(
        FILES,
        "tests/workbench/studies/test_adapter_files.py",
        ("PEFT is told another scale", '"lora_alpha": cell.alpha,', '"lora_alpha": cell.alpha / cell.rank,'),
        ("PEFT is told to scale by the root of the rank", '"use_rslora": False', '"use_rslora": True'),
    ),
]
