"""Mistakes in conversations: what is read, on which adapters, and what is told."""

from mistakes_list import mistakes

HERE = "tests/workbench/chatting/test_conversation.py"

MISTAKES = [
    *mistakes(
        "src/workbench/adapters/stack.py",
        HERE,
        ("a stack forgets its weights", "part.weight * part.adapter.scale", "part.adapter.scale"),
        ("a stack forgets the scale", "part.adapter.scale(layer) * own_b", "own_b"),
        ("a weight of zero still counts", "if part.weight != 0.0", "if part.weight < 9.0"),
    ),
    *mistakes(
        "src/workbench/chatting/in_torch.py",
        HERE,
        ("new tokens look one place too far", "visible(places[past:],", "visible(places[past:] + 1,"),
        ("new tokens stand at the beginning", "rotations(places[past:]", "rotations(places[: whole - past]"),
        (
            "a token is read on the adapters of the one before",
            "self.steps is None or others:",
            "self.steps is None:",
        ),
        (
            "steps go on in the room that was too small",
            "self.cache, self.steps = larger, None",
            "self.cache = larger",
        ),
        (
            "a conversation is read on the adapters it began with",
            "self.sequence.keep(0)",
            "self.sequence.keep(10**9)",
        ),
        ("what differs is kept", "prompt[kept] == self.sequence.tokens[kept]", "prompt[kept] >= 0"),
        (
            "a stop is part of the answer",
            "            if token in stops:\n                return\n            yield token",
            "            yield token\n            if token in stops:\n                return",
        ),
    ),
    *mistakes(
        "src/workbench/chatting/sampling.py",
        HERE,
        (
            "the temperature multiplies",
            "logits.double() / self.temperature",
            "logits.double() * self.temperature",
        ),
        ("every answer has the same draws, whatever the seed", "manual_seed(self.seed)", "manual_seed(0)"),
    ),
    *mistakes(
        "src/workbench/chatting/conversation.py",
        HERE,
        (
            "the weight behind a file's name is ignored",
            "WeightedAdapter(load_adapter(path, loaded), weight)",
            "WeightedAdapter(load_adapter(path, loaded))",
        ),
        (
            "an adapter of another base is talked to",
            "        check_fits(one.adapter, loaded)\n",
            "",
        ),
        (
            "an answer runs past what the base can read",
            "min(self.sampling.limit, room)",
            "self.sampling.limit",
        ),
        ("half a character is shown", "if not whole.endswith(CUT_CHARACTER) and whole", "if whole"),
        (
            "a stopped answer is forgotten",
            "self.history.append((text, said))",
            "self.history.append((text, said)) if ended != 'stopped' else None",
        ),
        (
            "an answer at the limit ended by itself",
            "len(tokens) == sampling.limit",
            "len(tokens) > sampling.limit",
        ),
    ),
    *mistakes(
        "src/workbench/cli/chat.py",
        "tests/workbench/cli/test_chat.py",
        ("adapters are counted from 0", "int(place) - 1", "int(place)"),
    ),
]
