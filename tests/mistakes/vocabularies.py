"""Mistakes in how texts become tokens and chats become texts."""

from mistakes_list import mistakes

MODELS = "src/workbench/models/"
TESTS = "tests/workbench/models/"

MISTAKES = [
    *mistakes(
        f"{MODELS}pre_tokenizers.py",
        f"{TESTS}test_pre_tokenizers.py",
        (
            "a long number is cut into single digits",
            '_LETTERS + r"|\\p{N}{1,3}" + _REST',
            '_LETTERS + r"|\\p{N}" + _REST',
            "test_every_way_to_cut_is_llama_cpp_s",
        ),
        (
            "a slash begins a word of its own",
            "[\\r\\n/]*",
            "[\\r\\n]*",
            "test_every_way_to_cut_is_llama_cpp_s",
        ),
        (
            "a combining mark is part of a word",
            'r"((?=[\\p{L}])([^A-Z]))"',
            'r"((?=[\\p{L}\\p{M}])([^A-Z]))"',
            "test_every_way_to_cut_is_llama_cpp_s",
        ),
        (
            "tekken merges a word that is a token",
            "    whole_words=True,\n    adds_bos=True,\n    original",
            "    adds_bos=True,\n    original",
            "test_every_way_to_cut_is_llama_cpp_s",
        ),
    ),
]
