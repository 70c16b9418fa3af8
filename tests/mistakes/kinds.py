"""Mistakes in kinds of adapter: what is computed, what is trained, what is written."""

from mistakes_list import mistakes

MISTAKES = [
    *mistakes(
        "src/workbench/adapters/kinds/rslora.py",
        "tests/workbench/adapters/test_kinds.py",
        ("cells of rsLoRA are scaled as those of LoRA", "alpha / rank**0.5", "alpha / rank"),
    ),
    *mistakes(
        "src/workbench/adapters/kinds/pissa.py",
        "tests/workbench/adapters/test_kinds.py",
        (
            "PiSSA begins with its largest part once more for the scale",
            "values[:rank] / scale",
            "values[:rank]",
        ),
        ("PiSSA's signs are those of the machine in A alone", "b * signs[:, 0]", "b"),
    ),
    *mistakes(
        "src/workbench/adapters/kinds/olora.py",
        "tests/workbench/adapters/test_kinds.py",
        ("OLoRA's signs are turned in Q alone", "r[:rank] * signs[:, None]", "r[:rank]"),
    ),
    *mistakes(
        "src/workbench/adapters/kinds/lora_plus.py",
        "tests/workbench/adapters/test_kinds.py",
        ("B learns as fast as A", "b_rate=RATIO", "b_rate=1.0"),
    ),
    *mistakes(
        "src/workbench/adapters/lora.py",
        "tests/workbench/adapters/test_kinds.py",
        (
            "A learns faster, not B",
            'self.kind.b_rate if half == "lora_B" else 1.0',
            'self.kind.b_rate if half == "lora_A" else 1.0',
        ),
        (
            "the length of a changed row leaves out what crosses",
            "self.squares[name] + 2 * scale * crossed",
            "self.squares[name] + scale * crossed",
        ),
        ("the length of a changed row is that of the frozen one", " + scale**2 * squared", ""),
        ("the lengths are divided by a square", ".clamp_min(0).sqrt()", ".clamp_min(0)"),
        (
            "the base keeps what the adapter begins with",
            'b = torch.cat([b, -first[name]["lora_B"]], dim=2)',
            'b = torch.cat([b, 0 * first[name]["lora_B"]], dim=2)',
        ),
        (
            "what is written adds what the base gave up",
            'b = torch.cat([b, -first["lora_B"][:, :rank]], dim=1)',
            'b = torch.cat([b, first["lora_B"][:, :rank]], dim=1)',
        ),
        (
            "a part of a stack gives up what others began with",
            "chosen.given_up = self.given_up[places]",
            "chosen.given_up = self.given_up[: len(rows)]",
        ),
        (
            "a loaded adapter keeps its fresh lengths",
            "halves[MAGNITUDE][row] = tensors",
            "halves[MAGNITUDE][row] += 0 * tensors",
        ),
    ),
    *mistakes(
        "src/workbench/studies/disk/adapters.py",
        "tests/workbench/adapters/test_kinds.py",
        (
            "the file of a kind that began with the base's weights halves its scale",
            '"lora_alpha": times * cell.alpha',
            '"lora_alpha": cell.alpha',
        ),
        ("DoRA is written as plain LoRA", '"use_dora": kind.magnitudes', '"use_dora": False'),
        (
            "rsLoRA is written as plain LoRA",
            '"use_rslora": kind.scale is by_root_of_rank',
            '"use_rslora": False',
        ),
    ),
    *mistakes(
        "src/workbench/training/optimizer.py",
        "tests/workbench/adapters/test_kinds.py",
        ("all weights learn at the cell's rate", "rates = rates * self.factors", "rates = rates * 1.0"),
    ),
    *mistakes(
        "src/workbench/studies/costs.py",
        "tests/workbench/studies/test_costs.py",
        (
            "what the base gives up costs nothing",
            "ADAPTER_KINDS[cell.adapter].carried(cell.rank)",
            "cell.rank",
            "test_operations_are_those_that_torch_counts",
        ),
        (
            "lengths cost nothing",
            "    step += _lengths(plan.base.decoder.config, cell)\n",
            "",
            "test_operations_are_those_that_torch_counts",
        ),
    ),
    *mistakes(
        "src/workbench/studies/stacks.py",
        "tests/workbench/studies/test_stacks.py",
        (
            "cells of two kinds train together",
            "cell.targets, cell.adapter, tokens_of_prefix",
            "cell.targets, tokens_of_prefix",
        ),
    ),
    *mistakes(
        "src/workbench/studies/paired.py",
        "tests/workbench/studies/test_paired.py",
        (
            "cells of other seeds are paired",
            'row["quality"], row["size"], row["seed"]',
            'row["quality"], row["size"], 0',
        ),
        ("the difference is the other way round", "append(two - one)", "append(one - two)"),
        ("an interval of 90%", "(1 + CONFIDENCE) / 2", "CONFIDENCE"),
        ("as many degrees of freedom as seeds", "len(means) - 1))", "len(means)))"),
        ("the spread of a seed, not of their mean", " / math.sqrt(len(means))", ""),
    ),
    *mistakes(
        "src/workbench/models/attention.py",
        "tests/workbench/adapters/test_prefix.py",
        (
            "scores of a prefix aren't scaled",
            ' -> G T J S L") * scale',
            ' -> G T J S L")',
        ),
        ("a prefix has no gate", "gate * taken, ", "taken, "),
        (
            "a prefix is read by the wrong heads",
            'q = rearrange(q, "(G T) (J S) D -> G T J S D", G=len(gate)',
            'q = rearrange(q, "(G T) (S J) D -> G T J S D", G=len(gate)',
        ),
    ),
    *mistakes(
        "src/workbench/adapters/kinds/llama_adapter.py",
        "tests/workbench/adapters/test_prefix.py",
        ("the paper's gate has no tanh", "    gate=torch.tanh,\n", ""),
    ),
    *mistakes(
        "src/workbench/adapters/prefix.py",
        "tests/workbench/adapters/test_prefix.py",
        ("a gate begins open", "torch.zeros(self.gates)", "torch.ones(self.gates)"),
        ("tokens begin uniform", "torch.randn(self.rank * self.width,", "torch.rand(self.rank * self.width,"),
        ("every seed's tokens begin alike", 'f"adapter:{cell.seed}:{name}"', 'f"adapter:0:{name}"'),
        ("a loaded prefix keeps its gates", "parts[GATE][row] = tensors", "parts[GATE][row] += 0 * tensors"),
    ),
    *mistakes(
        "src/workbench/studies/costs.py",
        "tests/workbench/studies/test_costs.py",
        (
            "a prefix costs nothing",
            "                forward += made + 2 * taken\n",
            "",
            "test_operations_are_those_that_torch_counts",
        ),
    ),
]
