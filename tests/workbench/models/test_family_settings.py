"""Every key of every family's config.json is refused, or does to our logits what it does to theirs."""

import json

import pytest
import torch
from made_families import MODELS, make

from workbench.errors import InputError
from workbench.models.families import FAMILIES
from workbench.models.folder_settings import ALLOWED_VALUES, GREEDY, HARMLESS_KEYS, READ_KEYS
from workbench.models.loaders import load_base

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1, 30, 4, 22, 11, 7, 7, 2]
OTHER = {
    "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
    "no_rope_layers": [0, 1, 1, 0],
    "hidden_act": "relu",
    "hidden_activation": "relu",
    "sliding_window": 4,
    "use_bidirectional_attention": True,
    "num_attention_heads": 2,
    "num_key_value_heads": 4,
    "head_dim": 4,
    "partial_rotary_factor": 0.5,
    "rope_scaling": {"rope_type": "linear", "factor": 3.0},
    "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 10_000.0},
    "max_window_layers": 1,
    "sliding_window_pattern": 3,
    "no_rope_layer_interval": 2,
    "attn_implementation": "eager",
    "quantization_config": {"quant_method": "gptq", "bits": 4},
}
"""Values for the walk where negating, doubling or adding to the old one wouldn't do."""
STOPS_TRANSFORMERS = {"device_map", "return_dict", "output_attentions", "task_specific_params", "dtype"}
"""Keys that stop transformers before it loads, or choose what it prints; all are known to be harmless."""


def other(key, value):
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 if value else 1
    return True if value is None else 7


@pytest.mark.slow  # half a minute: each key is tried in transformers too
@pytest.mark.parametrize("name", MODELS)
def test_the_walk_over_every_key(transformers, put_tokenizer, tmp_path, logits, name):
    kind = MODELS[name][0]
    family, before = FAMILIES[kind], make(transformers, *MODELS[name], tmp_path)
    put_tokenizer(tmp_path)
    whole = json.loads((tmp_path / "config.json").read_text())
    keys = set(type(before.config)().to_dict()) | READ_KEYS | ALLOWED_VALUES.keys() | whole.keys()
    keys |= HARMLESS_KEYS.keys() | family.reads | family.allows.keys() | family.biases.keys()
    unchanged, used, wrong = logits(load_base(tmp_path), TOKENS), [], []
    for key in sorted(keys - STOPS_TRANSFORMERS - GREEDY.keys()):
        changed = whole | {key: other(key, whole.get(key))}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        try:
            base = load_base(tmp_path)
        except InputError:
            continue
        # a window over all layers ends the examples
        ours, end = logits(base, TOKENS), base.decoder.config.context
        if not torch.equal(ours, unchanged):
            used.append(key)
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                tmp_path, dtype=torch.float32, attn_implementation="eager"
            )
            with torch.no_grad():
                theirs = model.eval()(torch.tensor([TOKENS])).logits[0]
        except Exception as error:
            if key in used:
                wrong.append((key, changed[key], f"transformers: {error}"))
            continue
        if not torch.allclose(ours[:end], theirs[:end], rtol=0, atol=1e-5):
            wrong.append((key, changed[key], float((ours - theirs)[:end].abs().max())))
    assert not wrong, wrong
    assert {"rms_norm_eps"} <= set(used)
