"""Mistakes in which examples are drawn, which are spoiled and how, and in what is learnt of each."""

from mistakes_list import mistakes

SUBSETS, CHANCE = "src/workbench/data/subsets.py", "src/workbench/data/chance.py"
CORRUPTIONS, HELDOUT = "src/workbench/data/corruptions.py", "src/workbench/data/heldout.py"
BATCHES, TEMPLATES = "src/workbench/data/batches.py", "src/workbench/data/templates.py"
LENGTHS, RECORDS = "src/workbench/data/lengths.py", "src/workbench/data/records.py"
RATERS, VERBS = "src/workbench/data/sources/raters.py", "src/workbench/data/sources/verbs.py"

MISTAKES = [
    *mistakes(
        SUBSETS,
        "tests/workbench/data/test_subsets.py",
        (
            "the coin of a tie is equal for all seeds",
            'number(seed, "tie", record.id)',
            'number(0, "tie", record.id)',
        ),
        (
            "the raters come in one order for all seeds",
            'generator(seed, "raters", record.id)',
            'generator(0, "raters", record.id)',
        ),
        (
            "the raters come in the order of the file",
            "asked = sorted(zip(turns, record.ratings, strict=True))[:raters]",
            "asked = list(zip(turns, record.ratings, strict=True))[:raters]",
        ),
        (
            "all raters decide, however many were asked",
            "score = sum(rating for _, rating in asked)",
            "score = sum(record.ratings)",
        ),
        (
            "the share that is left is the share that is spoiled",
            "< 1.0 - quality.share",
            "< quality.share",
        ),
        (
            "the same records are spoiled in every seed",
            'hit = number(seed, "spoil", record.id)',
            'hit = number(0, "spoil", record.id)',
        ),
        (
            "what is drawn first is spoiled first",
            'hit = number(seed, "spoil", record.id)',
            'hit = number(seed, "order", record.id)',
        ),
        (
            "wrong answers come from the draw alone",
            "drawn if drawn_only else pool, seed)",
            "drawn if drawn_only else chosen, seed)",
        ),
        (
            "copies are taken from what was not drawn yet",
            "drawn if drawn_only else pool, seed)",
            "pool, seed)",
        ),
        (
            "a smaller draw is the end of a larger one",
            "chosen = pool[:size]",
            "chosen = pool[-size:]",
        ),
        (
            "the draws are the same for all seeds",
            'number(seed, "order", ids[place])',
            'number(0, "order", ids[place])',
        ),
    ),
    *mistakes(
        CHANCE,
        "tests/workbench/data/test_subsets.py",
        ("the last option is never picked", "* len(options))", "* (len(options) - 1))"),
    ),
    *mistakes(
        CORRUPTIONS,
        "tests/workbench/data/test_corruptions.py",
        ("the first letter is always the one mistyped", "int(chance.random() * len(text))", "0"),
        (
            "the slip is always the first that is possible",
            "return pick(options, chance)",
            "return options[0]",
        ),
        (
            "another record's answer may be the same one",
            "if response != record.response:\n            return",
            "if response:\n            return",
        ),
        ("a copy keeps its own answer", "), id=record.id)", "), id=record.id, response=record.response)"),
    ),
    *mistakes(
        HELDOUT,
        "tests/workbench/data/test_heldout.py",
        (
            "copies of a prompt lie on both sides",
            "lambda record: record.prompt,",
            "lambda record: record.id,",
        ),
        ("a tenth is held out instead of a fifth", "total // 5", "total // 10"),
        ("a family goes past the number", "len(chosen) + len(one) <= wanted", "len(chosen) < wanted"),
    ),
    *mistakes(
        VERBS,
        "tests/workbench/data/sources/test_verbs.py",
        (
            "relatives of a verb lie on both sides",
            "family=lambda record: _root(record.prompt, lemmas)",
            "family=lambda record: record.prompt",
        ),
        (
            "a participle that is the past form counts as wrong",
            'for form in forms if form not in pasts.split("/"))',
            "for form in forms)",
        ),
    ),
    *mistakes(
        RATERS,
        "tests/workbench/data/sources/test_raters.py",
        ("a text at the limit is unclear", ">= CLEAR]", "> CLEAR]"),
        ("the label is the other side", "_mean(ratings) > 0]", "_mean(ratings) < 0]"),
        (
            "a text without a side is kept",
            "if abs(_mean(record.ratings)) >= CLEAR",
            "if _mean(record.ratings) != 0 or CLEAR",
        ),
    ),
    *mistakes(
        BATCHES,
        "tests/workbench/data/test_batches.py",
        (
            "the loss begins one token late",
            "before = prompts[label_examples] + response - 1",
            "before = prompts[label_examples] + response",
        ),
        (
            "a label is the token itself",
            "labels=self.tokens[starts[label_examples] + before + 1],",
            "labels=self.tokens[starts[label_examples] + before],",
        ),
        (
            "the order is the same for all seeds",
            'f"order:{seed}:{number}"',
            'f"order:{number}"',
        ),
        (
            "every pass has the same order",
            'f"order:{seed}:{number}"',
            'f"order:{seed}"',
        ),
        (
            "a step begins with the last example of the step before",
            "range(step * batch_size, (step + 1) * batch_size)",
            "range(step * batch_size - (step > 0), (step + 1) * batch_size - (step > 0))",
        ),
        (
            "a trunk takes its examples shuffled",
            "        return [place % size for place in places]\n",
            "        pass\n",
        ),
        (
            "what all prompts begin with may be a part of an answer",
            "prompts = [example.token_ids[: example.prompt_length] for example in kept]",
            "prompts = [example.token_ids for example in kept]",
        ),
        (
            "positions count on through a row",
            "positions=matrix(shared.repeat(len(rows)), position),",
            "positions=torch.arange(width).repeat(len(rows), 1),",
        ),
    ),
    *mistakes(
        TEMPLATES,
        "tests/workbench/data/test_templates.py",
        (
            "the end token is not learnt",
            "        said, ending = [*said, tokenizer.eos], ending + 1\n",
            "        pass\n",
        ),
        (
            "the loss counts the prompt's last token",
            "len(opening) + len(asked), ending",
            "len(opening) + len(asked) - 1, ending",
        ),
        (
            "the token that opens a text is left out of the training",
            "return Example((*opening, *asked, *said), len(opening) + len(asked)",
            "return Example((*asked, *said), len(asked)",
        ),
    ),
    *mistakes(
        LENGTHS,
        "tests/workbench/data/test_lengths.py",
        (
            "a record that just fits is too long",
            "return tokens(record) <= context",
            "return tokens(record) < context",
        ),
        (
            "prompts are cut at their end",
            "prompt = record.prompt[characters:]",
            "prompt = record.prompt[:-characters]",
        ),
        (
            "the longest choice is not counted",
            "answers = dict.fromkeys((record.response, *record.choices))",
            "answers = dict.fromkeys((record.response,))",
        ),
    ),
    *mistakes(
        RECORDS,
        "tests/workbench/data/test_records.py",
        (
            "the fingerprint leaves out what is held out",
            "_fingerprint(self.train, self.heldout)",
            "_fingerprint(self.train)",
        ),
        (
            "the fingerprint leaves out the ratings",
            "if one.compare}",
            'if one.compare and one.name != "ratings"}',
        ),
    ),
]
