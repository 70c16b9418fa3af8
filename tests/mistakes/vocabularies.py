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
    *mistakes(
        f"{MODELS}gguf_tokenizer.py",
        f"{TESTS}test_gguf_special_tokens.py",
        (
            "a control token that the file calls normal is text",
            " or self.tokens[token] in CONTROL_TEXTS",
            "",
            "test_some_texts_are_control_tokens_whatever_the_file_says",
        ),
        (
            "every special token of Phi-3 strips",
            "frozenset(texts) - NEVER_STRIPPING",
            "frozenset(texts)",
            "test_the_special_tokens_of_phi_3_strip_what_is_behind_them",
        ),
        (
            "an empty text stays one",
            'text or f"[EMPTY_{place}]"',
            'text or f"[EMPTY{place}]"',
            "test_a_text_ends_at_a_nul_and_an_empty_one_has_a_name",
        ),
    ),
    *mistakes(
        f"{MODELS}sentencepiece.py",
        f"{TESTS}test_gguf_special_tokens.py",
        (
            "an ideographic space is stripped too",
            'tuple(" \\t\\n\\v\\f\\r")',
            'tuple(" \\t\\n\\v\\f\\r\\u3000")',
            "test_the_special_tokens_of_phi_3_strip_what_is_behind_them",
        ),
    ),
    *mistakes(
        f"{MODELS}unigram.py",
        f"{TESTS}test_unigram.py",
        (
            "unknown characters are one token each",
            "elif not ids or ids[-1] != self.unknown:",
            "else:",
            "test_a_text_is_cut_as_by_llama_cpp",
        ),
        (
            "the space in front is forgotten",
            'prefix = SPACE if self.adds_space and text.strip(" ") else ""',
            'prefix = ""',
            "test_a_text_is_cut_as_by_llama_cpp",
        ),
        (
            "the first key is taken instead of the longest",
            "found = self.texts[text : self.texts.index(0, text)], place + 1",
            "return self.texts[text : self.texts.index(0, text)], place + 1",
            "test_a_text_is_cut_as_by_llama_cpp",
        ),
    ),
    *mistakes(
        f"{MODELS}folder_tokenizer.py",
        f"{TESTS}test_family_tokenizers.py",
        (
            "Phi-3 is read as LLaMA",
            'AS_WRITTEN = ("mistral", "phi3",',
            'AS_WRITTEN = ("mistral",',
            "test_a_folder_is_read_as_transformers_reads_it",
        ),
    ),
    *mistakes(
        f"{MODELS}writers/gguf_vocabulary.py",
        f"{TESTS}test_family_tokenizers.py",
        (
            "Gemma gets a space in front",
            "        return steps[:-1] == [_PREPEND]",
            "        return True",
            "test_what_is_written_of_it_means_the_same_to_llama_cpp",
        ),
        (
            "a token of blocks is the user's",
            "TokenType.NORMAL if blocks else own",
            "own",
            "test_a_token_of_blocks_is_spaces_to_llama_cpp",
        ),
        (
            "the name doesn't say Phi-3",
            'return f"{name} (Phi-3)" if strips and not told else name',
            "return name",
            "test_what_is_written_of_it_means_the_same_to_llama_cpp",
        ),
    ),
    *mistakes(
        f"{MODELS}writers/gguf_file.py",
        f"{TESTS}test_family_tokenizers.py",
        (
            "the file's name doesn't say Phi-3",
            "name_for_llama_cpp(model.name, model.tokenizer)",
            "model.name",
            "test_a_whole_model_goes_out_and_comes_back",
        ),
    ),
    *mistakes(
        f"{MODELS}writers/folder_texts.py",
        f"{TESTS}test_family_tokenizers.py",
        (
            "no space comes before a text of a GGUF's pieces",
            "normalizers.Sequence([*prepend, normalizers",
            "normalizers.Sequence([normalizers",
            "test_what_came_from_a_gguf_is_written_as_a_folder",
        ),
    ),
    *mistakes(
        f"{MODELS}chat.py",
        f"{TESTS}test_chat_templates.py",
        (
            "a template of too many blocks ends in a traceback",
            "*(RecursionError, SyntaxError, MemoryError),",
            "*(RecursionError, MemoryError),",
            "test_a_failing_program_is_refused_in_a_sentence",
        ),
    ),
]
