"""Tiny chat models as Hugging Face folders: the tokenizers and chat templates of five common kinds."""

import json
from pathlib import Path
from random import Random

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCABULARY = """is the a parcel invoice refund printer meeting account late lost paid broken yes no question
answer it was please say one word how many days"""
WORDS = VOCABULARY.split()
PROMPTS = [
    f"Is the {thing} {state}? Answer yes or no."
    for thing in ("parcel", "invoice", "refund", "printer", "meeting", "account", "update", "password")
    for state in ("late", "lost", "paid", "broken", "open")
]
"""40 prompts; the right answer alternates."""
ANSWERS = ["Yes", "No"] * 20

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if loop.index0 == 0 and system_message %}"
    "{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MARKED = CHATML.replace(
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}",
    "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n' }}{% generation %}"
    "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}",
)
ENDLESS = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '### User:\n' + message['content'] }}"
    "{{ '\n\n### Assistant:\n' }}{% else %}{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}"
)

KINDS = {
    # name: (template, eos_token, the token that ends a turn, other special tokens, a BOS before texts)
    "llama-2": (LLAMA2, "</s>", "</s>", (), True),
    "zephyr": (ZEPHYR, "</s>", "</s>", (), True),
    "chatml": (CHATML, "<|endoftext|>", "<|im_end|>", ("<|im_start|>",), False),
    "marked": (MARKED, "<|endoftext|>", "<|im_end|>", ("<|im_start|>",), False),
    "llama-3": (LLAMA3, "<|end_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"), True),
    "gemma": (GEMMA, "<eos>", "<end_of_turn>", ("<start_of_turn>",), True),
    "endless": (ENDLESS, "</s>", "</s>", (), True),
}
TOKENIZERS = ("byte-level", "sentencepiece", "legacy sentencepiece")
BOS = "<s>"


def texts() -> list[str]:
    chance = Random(0)
    lines = [" ".join(chance.choice(WORDS) for _ in range(8)).capitalize() + "." for _ in range(800)]
    return lines + PROMPTS + ANSWERS


def tokenizer(kind: str, special: list[str], *, adds_bos: bool) -> Tokenizer:
    """A trained tokenizer of one of ``TOKENIZERS``."""
    if kind == "byte-level":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        made.train_from_iterator(texts(), trainer)
    else:
        made = _sentencepiece(special, legacy=kind.startswith("legacy"))
    if adds_bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, made.token_to_id(BOS))]
        )
    return made


def _sentencepiece(special: list[str], *, legacy: bool) -> Tokenizer:
    """As folders of the first LLaMA models have it: BPE with byte fallback and a visible space."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    learnt.train_from_iterator(texts(), trainers.BpeTrainer(vocab_size=400, show_progress=False))
    state = json.loads(learnt.to_str())
    pieces = [piece for piece, _ in sorted(state["model"]["vocab"].items(), key=lambda item: item[1])]
    alphabet = [chr(code) for code in range(33, 127)]
    order = list(
        dict.fromkeys(["<unk>", *special, *(f"<0x{b:02X}>" for b in range(256)), "▁", *alphabet, *pieces])
    )
    state["model"] |= {
        "vocab": {piece: place for place, piece in enumerate(order)},
        "byte_fallback": True,
        "fuse_unk": True,
        "unk_token": "<unk>",
    }
    if legacy:
        state["normalizer"] = {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        }
        state["pre_tokenizer"] = None
    made = Tokenizer.from_str(json.dumps(state))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in ["<unk>", *special]]
    )
    return made


def make_folder(folder: Path, kind: str, cut: str = "byte-level", **settings: object) -> Path:
    """Write a random model of a kind with a tokenizer; ``settings`` go into tokenizer_config.json."""
    from transformers import LlamaConfig, LlamaForCausalLM

    template, eos, turn, others, adds_bos = KINDS[kind]
    special = list(dict.fromkeys([BOS, eos, turn, *others]))
    made = tokenizer(cut, special, adds_bos=adds_bos)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=made.get_vocab_size(),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            bos_token_id=made.token_to_id(BOS),
            eos_token_id=made.token_to_id(eos),
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast" if cut == "byte-level" else "LlamaTokenizer",
        "bos_token": BOS,
        "eos_token": eos,
        "unk_token": None if cut == "byte-level" else "<unk>",
        "chat_template": template,
        "legacy": cut.startswith("legacy"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config | settings))
    return folder


def train(folder: Path, kind: str) -> int:
    """Teach a folder's model all answers as ``transformers`` writes them; return how many it gets right.

    The model sees what ``apply_chat_template`` makes of prompt and answer, and learns the part behind the
    generation prompt, up to and with the end of the turn. It is asked by greedy generation.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    end = theirs.convert_tokens_to_ids(KINDS[kind][2])
    rows, prompts = [], []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        asked, whole = conversation(theirs, prompt, answer)
        rows.append(
            whole[: len(asked) + whole[len(asked) :].index(end) + 1]
            if end in whole[len(asked) :]
            else [*whole, end]
        )
        prompts.append(asked)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor(
        [
            [-100] * len(p) + r[len(p) :] + [-100] * (longest - len(r))
            for p, r in zip(prompts, rows, strict=True)
        ]
    )
    # clipped, and with room to learn more slowly: another processor's rounding must not decide
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(1200):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 2e-3:
            break
    model.save_pretrained(folder)
    right = 0
    for prompt, answer in zip(prompts, ANSWERS, strict=True):
        written = model.generate(
            torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=end, pad_token_id=0
        )[0, len(prompt) :]
        right += theirs.decode([token for token in written.tolist() if token != end]).strip() == answer
    return right


def conversation(theirs, prompt: str, answer: str) -> tuple[list[int], list[int]]:
    """Return transformers' ids of the prompt that asks for an answer, and of the whole conversation."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    asked = theirs.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
    return asked, theirs.apply_chat_template(messages, return_dict=False)
