"""Mistakes in what tells one family of bases from another."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from mistakes_list import mistakes

LOGITS = "test_logits_are_those_of_transformers"
TEST = "tests/workbench/models/test_families.py"
MODELS = "src/workbench/models"

MISTAKES = [
    *mistakes(
        f"{MODELS}/rotary.py",
        TEST,
        ("pairs between are divided whole", "(kept + (1 - kept) / scaling.factor)", "(kept.round() + (1 - kept.round()) / scaling.factor)", LOGITS),
        ("YaRN's ramp runs the wrong way", "(1 - divided + divided / scaling.factor)", "(divided + (1 - divided) / scaling.factor)", LOGITS),
        ("the magnitude is forgotten", "(sine * scaling.magnitude)", "(sine * 1)", LOGITS),
        ("layers without positions turn", "None if layer in config.unturned else own", "own", LOGITS),
        ("layers with a window turn like the others", "own if config.window(layer) is None else windowed", "own", LOGITS),
    ),
    *mistakes(
        f"{MODELS}/attention.py",
        TEST,
        ("a window is one token wider", "(before < self.window)", "(before <= self.window)", LOGITS),
        ("capped scores have no scale", ".float() * self.scale", ".float()", LOGITS),
        ("scores aren't capped", "self.softcap * torch.tanh(scores / self.softcap)", "scores * 1.0", LOGITS),
    ),
    *mistakes(
        f"{MODELS}/decoder.py",
        TEST,
        ("the embedding isn't scaled", "vectors if scale == 1 else vectors * scale", "vectors", LOGITS),
        ("logits aren't scaled", 'self.normalize("norm", hidden) if scale == 1 else self.normalize("norm", hidden) * scale', 'self.normalize("norm", hidden)', LOGITS),
        ("logits aren't capped", "logits if cap is None else cap * torch.tanh(logits / cap)", "logits", LOGITS),
    ),
    *mistakes(
        "src/workbench/training/losses.py",
        TEST,
        ("losses are of plain logits", "softcap=cap, chunk", "softcap=None, chunk", "test_four_steps_lose_what_they_lose_in_peft"),
    ),
    *mistakes(
        f"{MODELS}/safetensors_folder.py",
        TEST,
        ("Gemma's norms lack their 1", "part + offset if offset and", "part + 0 if offset and", LOGITS),
    ),
    *mistakes(
        f"{MODELS}/writers/folder.py",
        TEST,
        ("Gemma's norms are written with their 1", "weight = weight - offset", "weight = weight - 0", "test_a_folder_is_written_that_transformers_reads"),
    ),
    *mistakes(
        f"{MODELS}/gguf_layout.py",
        TEST,
        ("every family's rows lie in pairs", "if not FAMILIES[config.family].gguf_pairs:", "if False:", "test_a_gguf_means_to_llama_cpp_what_the_folder_means"),
    ),
    *mistakes(
        f"{MODELS}/families/gemma.py",
        TEST,
        ("scores scaled by the head", 'values.positive("query_pre_attn_scalar") ** -0.5', 'values.size("head_dim") ** -0.5', LOGITS),
        ("a GGUF's windows are every fifth", "(layer + 1) % 6 else None", "(layer + 1) % 5 else None", "test_a_gguf_means_to_llama_cpp_what_the_folder_means"),
    ),
    *mistakes(
        f"{MODELS}/families/gemma.py",
        "tests/workbench/models/test_folder_settings.py",
        ("windows of the other layers", "[layer % 2 == 0 for layer", "[layer % 2 == 1 for layer", "test_defaults_are_those_of_transformers"),
    ),
    *mistakes(
        f"{MODELS}/families/granite.py",
        TEST,
        ("logits are multiplied", '1 / values.positive("logits_scaling")', 'values.positive("logits_scaling")', LOGITS),
        ("a GGUF's logits are multiplied", "1.0 if logits is None else 1 / logits", "1.0 if logits is None else logits", "test_a_gguf_means_to_llama_cpp_what_the_folder_means"),
    ),
]  # fmt: skip
