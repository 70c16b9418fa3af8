"""Mistakes on the way to a GPU: what stays behind, what is waited for, what is rounded or joined."""

from mistakes_list import mistakes

STEP = "tests/kernels/test_training_step.py"
MISTAKES = [
    *mistakes(
        "src/workbench/training/loop.py",
        "tests/workbench/training/test_float16.py",
        (
            "in float16 slopes are those of means, too small for it",
            "half = decoder.dtype == torch.float16",
            "half = False",
            "test_in_float16_the_mean_over_many_labels_keeps_its_slopes",
        ),
    ),
    *mistakes(
        "src/workbench/models/decoder.py",
        STEP,
        (
            "weights stay on the processor",
            "name: weight.to(self.device) for",
            "name: weight for",
            "test_generation_writes_what_a_processors_does",
        ),
        (
            "labels belong to the cells of all tokens",
            "cells = labels_of.label_boundaries",
            "cells = labels_of.label_boundaries * 0 + cells",
            "test_training_ends_with_the_adapters_of_a_processor",
        ),
    ),
    *mistakes(
        "src/workbench/models/on_gpu.py",
        STEP,
        (
            "norms stay in float32",
            "weights[name] = weight.to(dtype)",
            "weights[name] = weight",
            "test_a_step_in_16_bits_is_as_near_to_float32_as_torchs_own",
        ),
        (
            "a GPU decodes all weights beforehand",
            "prepared |= {names[0]: operand for names, operand in made.items()}",
            "prepared |= {n[0]: o if isinstance(o, Tensor) else torch.cat([weights[one].dequantize(dtype) "
            "for one in n]) for n, o in made.items()}",
            "test_weights_stay_packed_and_those_side_by_side_are_held_once",
        ),
    ),
    *mistakes(
        "src/workbench/models/on_gpu.py",
        STEP,
        (
            "rows of a joined weight are all the first layer's",
            "start += weight.shape[0]",
            "start += 0",
            "test_weights_stay_packed_and_those_side_by_side_are_held_once",
        ),
        (
            "weights of several formats are laid side by side",
            "{(w.format, w.block_size) for w in packed} != {",
            "{(first.format, first.block_size) for w in packed} != {",
            "test_a_step_gives_the_losses_and_gradients_of_a_processor",
        ),
        (
            "what is side by side is held twice",
            "weights[name] = _rows(joined, start, start + weight.shape[0])",
            "weights[name] = weight",
            "test_weights_stay_packed_and_those_side_by_side_are_held_once",
        ),
    ),
    *mistakes(
        "src/workbench/models/attention.py",
        STEP,
        (
            "key heads serve the wrong query heads",
            "x.repeat_interleave(q.shape[1] // x.shape[1], dim=1)",
            "x.repeat(1, q.shape[1] // x.shape[1], 1, 1)",
            "test_generation_writes_what_a_processors_does",
        ),
    ),
    *mistakes(
        "src/workbench/data/batches.py",
        STEP,
        (
            "a label at a boundary is the next cell's",
            "torch.searchsorted(cells[label_examples], torch.arange(len(rows) + 1))",
            "torch.searchsorted(cells[label_examples], torch.arange(len(rows) + 1)) + 1",
            "test_training_ends_with_the_adapters_of_a_processor",
        ),
        (
            "the first block of examples takes the place of all",
            "blocks = tuple(placed[len(names) :])",
            "blocks = tuple(placed[len(names) : len(names) + 1])",
            "test_training_ends_with_the_adapters_of_a_processor",
        ),
    ),
    *mistakes(
        "src/workbench/devices.py",
        STEP,
        (
            "the processor waits for each copy to the device",
            "non_blocking=True",
            "non_blocking=False",
            "test_a_step_waits_for_the_device_once_at_most",
        ),
    ),
    *mistakes(
        "src/workbench/adapters/lora.py",
        STEP,
        (
            "adapters reach the operators in their own type",
            "carried = self.halves(self.weights.to(computed_in))",
            "carried = self.halves(self.weights)",
            "test_a_step_in_16_bits_is_as_near_to_float32_as_torchs_own",
        ),
        (
            "fresh adapters stay on the processor",
            "self._first_weights().to(device).requires_grad_()",
            "self._first_weights().requires_grad_()",
            "test_generation_writes_what_a_processors_does",
        ),
    ),
    *mistakes(
        "src/workbench/training/loop.py",
        STEP,
        (
            "a step's batch stays on the processor",
            "part = pool.batch([row[piece::pieces] or row[:1] for row in rows]).to(decoder.device)",
            "part = pool.batch([row[piece::pieces] or row[:1] for row in rows])",
            "test_training_ends_with_the_adapters_of_a_processor",
        ),
        (
            "losses are read before they have arrived",
            "told = torch.stack([loss, norm]).cpu()",
            'told = torch.stack([loss, norm]).to("cpu", non_blocking=True)',
            "test_training_ends_with_the_adapters_of_a_processor",
        ),
        (
            "losses and norms are read one after the other",
            "told = torch.stack([loss, norm]).cpu()",
            "told = torch.stack([loss.cpu(), norm.cpu()])",
            "test_a_step_waits_for_the_device_once_at_most",
        ),
        (
            "in float16 the slopes of sums are taken for those of means",
            "own / count[:, None] if half else own",
            "own",
            "test_a_step_in_16_bits_is_as_near_to_float32_as_torchs_own",
        ),
        (
            "a checkpoint stays on the processor",
            "state = state.to(stack.weights.device)",
            "state = state.to(torch.device('cpu'))",
            "test_training_goes_on_from_a_checkpoint_of_the_other_device",
        ),
        (
            "frozen states stay on the processor",
            "states = torch.empty(shape, dtype=decoder.dtype, device=decoder.device)",
            "states = torch.empty(shape, dtype=decoder.dtype)",
            "test_what_lies_below_the_adapters_is_computed_once_and_stays_on_the_device",
        ),
    ),
    *mistakes(
        "src/workbench/training/optimizer.py",
        STEP,
        (
            "the optimizer waits for the device",
            'everyone = weights.device.type == "cpu" and bool(kept.all())',
            "everyone = bool(kept.all())",
            "test_a_step_waits_for_the_device_once_at_most",
        ),
        (
            "a cell that isn't kept is changed on a device",
            'everyone = weights.device.type == "cpu" and bool(kept.all())',
            'everyone = weights.device.type != "cpu" or bool(kept.all())',
            "test_a_cell_that_is_left_out_keeps_its_moments",
        ),
    ),
    *mistakes(
        "kernels/qlora_kernels/head_products.py",
        STEP,
        (
            "logits are rounded to the type of activations",
            "torch.empty(a.shape[0], b.shape[1], dtype=wide, device=a.device)",
            "torch.empty(a.shape[0], b.shape[1], dtype=b.dtype, device=a.device)",
            "test_logits_are_in_float32",
        ),
        (
            "each part of the vocabulary takes the place of the first",
            "_product(hidden, rows.mT, logits[:, part])",
            "_product(hidden, rows.mT, logits[:, : rows.shape[0]])",
            "test_logits_are_in_float32",
        ),
    ),
]
