"""Mistakes in models that leave: what is merged and written, and the gate that has to find them."""

from mistakes_list import mistakes

EXPORTER = "tests/workbench/exporting/test_exporter.py"
FORMATS = "tests/workbench/models/writers/test_every_format.py"

MISTAKES = [
    *mistakes(
        "kernels/qlora_kernels/quantize_k.py",
        "tests/kernels/test_quantize_k.py",
        (
            "the search of Q4_K keeps the worst scale",
            "better = (determinant > 0) & (error < best_error)",
            "better = (determinant > 0) & (error > best_error)",
            "test_blocks_are_those_of_ggml",
        ),
        (
            "the high bits of late scales are lost",
            "early | ((late >> 4) << 6),",
            "early,",
            "test_blocks_are_those_of_ggml",
        ),
        (
            "the two halves of Q6_K's codes change places",
            "first, second, third, fourth = runs",
            "first, third, second, fourth = runs",
            "test_blocks_are_those_of_ggml",
        ),
    ),
    *mistakes(
        "src/workbench/exporting/merging.py",
        EXPORTER,
        (
            "a merge forgets the base's weight",
            "self.adapter.changed(name, self.base.decoder.weight(name))",
            "self.adapter.changed(name, 0 * self.base.decoder.weight(name))",
            "test_an_export_says_what_base_and_adapter_say",
        ),
        (
            "an adapter of another base is merged where it fits",
            "        check_fits(adapter, base)\n",
            "",
            "test_an_adapter_of_another_base_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/exporting/exporter.py",
        EXPORTER,
        (
            "the gate takes the merged weights for the reference",
            "reference = read_all(exact, texts, beside(base, adapter))",
            "reference = read_all(_decoder(model, dict.fromkeys(kinds, 'f32')), texts, {})",
            "test_the_gate_refuses",
        ),
        (
            "weights that no text asks for are not compared",
            "    _demand_equal_weights(in_memory, again.decoder)\n",
            "",
            "test_a_row_that_no_text_asks_for_is_compared_too",
        ),
        (
            "a written tokenizer is not compared",
            "if words := other_texts(base.tokenizer, again.tokenizer, texts):",
            "if (words := other_texts(base.tokenizer, again.tokenizer, texts)) and not texts:",
            "test_the_gate_refuses",
        ),
        (
            "the tokens that end an answer are not compared",
            '("the set of tokens that end an answer", sorted(ours.stops), sorted(theirs.stops)),',
            '("the set of tokens that end an answer", 0, 0),',
            "test_the_gate_refuses",
        ),
        (
            "what was written is put in place before it is compared",
            "        found = _compared(base, adapter, model, kinds, kind, place, texts, progress)\n",
            "        import shutil; shutil.copy(place, out) if place.is_file() else None\n"
            "        found = _compared(base, adapter, model, kinds, kind, place, texts, progress)\n",
            "test_the_gate_refuses",
        ),
        (
            "the adapter apart is measured merged",
            "read_all(_decoder(alone, kinds), texts, beside(base, adapter))",
            "read_all(_decoder(model, kinds), texts, {})",
            "test_four_bits_say_what_merging_costs",
        ),
    ),
    *mistakes(
        "src/workbench/exporting/parity.py",
        EXPORTER,
        (
            "the divergence is taken the other way round",
            "ahead = (q - p).double()",
            "ahead = (p - q).double()",
            "test_what_is_measured_is_what_the_words_say",
        ),
        (
            "NaN passes the gate",
            "kl=float(torch.cat(divergences).double().mean().nan_to_num(torch.inf)),",
            "kl=float(torch.cat(divergences).double().mean().nan_to_num(0.0)),",
            "test_what_is_measured_is_what_the_words_say",
        ),
        (
            "the loss is told with the wrong sign",
            "(p[:-1] - q[:-1])",
            "(q[:-1] - p[:-1])",
            "test_what_is_measured_is_what_the_words_say",
        ),
    ),
    *mistakes(
        "src/workbench/models/gguf_writer.py",
        EXPORTER,
        (
            "tensors are counted and not written",
            "            file.write(np.ascontiguousarray(data).data)",
            "            data.tobytes()",
            "test_an_export_says_what_base_and_adapter_say",
        ),
    ),
    *mistakes(
        "src/workbench/models/writers/numbers.py",
        FORMATS,
        (
            "what is packed already is rounded again",
            "if weight.format == kind:",
            "if weight.format == kind and False:",
            "test_a_weight_that_is_packed_already_keeps_its_bytes",
        ),
        (
            "a number too large for float16 is written as infinity",
            "if isinstance(packed, Tensor) and not packed.isfinite().all():",
            "if isinstance(packed, Tensor) and packed.isnan().any():",
            "test_what_no_number_of_the_format_is_is_refused",
        ),
    ),
    *mistakes(
        "src/workbench/models/writers/folder.py",
        FORMATS,
        (
            "a shard may be larger than was asked",
            "if groups[-1] and used + size > largest:",
            "if groups[-1] and used > largest:",
            "test_a_large_folder_is_written_in_shards",
        ),
        (
            "a head of its own is called tied",
            '{"tie_word_embeddings": model.tied, "torch_dtype": dtype}',
            '{"tie_word_embeddings": True, "torch_dtype": dtype}',
            "test_an_untied_head_is_said_to_be_one",
        ),
    ),
    *mistakes(
        "src/workbench/models/writers/gguf_vocabulary.py",
        FORMATS,
        (
            "the second end mark is lost",
            "    ends += sorted(tokenizer.stops - set(ends))\n",
            "",
            "test_text_is_read_and_ended_as_before",
        ),
    ),
]
