"""``workbench upcycle``: a base with experts out of a dense one, equal to it at first."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.ladder.sparse import TrainedExperts
    from workbench.models.base import Base


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "upcycle",
        description="Make a sparse base of a dense one of the family llama or mistral: several copies of "
        "each block's feed-forward network (experts), and a router that chooses for each token. It is shown "
        "to say what the dense base says, then written in the form of Mixtral, which llama.cpp and "
        "transformers read. With --steps, a run of `workbench ladder` is trained on first, experts and "
        "routers too.",
    )
    parser.add_argument("base", help="a name, a GGUF file, or a Hugging Face folder")
    parser.add_argument("--out", type=Path, required=True, help="FILE.gguf, or a new folder for safetensors")
    parser.add_argument("--experts", type=int, default=4, metavar="N", help="in each block (default: 4)")
    parser.add_argument(
        "--used",
        type=int,
        default=1,
        metavar="N",
        help="experts of a token (default: 1, with which a token takes the operations that it took)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the routers' first numbers and of training")
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="as in export-model (default: f32 for a GGUF, safetensors-f32 for a folder: nothing is rounded)",
    )
    training = parser.add_argument_group("training on the words of the ladder")
    training.add_argument("--steps", type=int, default=0, metavar="N", help="how many (default: none)")
    training.add_argument(
        "--balance",
        type=float,
        metavar="C",
        help="what the loss of an uneven choice is multiplied by, router_aux_loss_coef in transformers "
        "(default: 0.01)",
    )
    training.add_argument("--matrix-rate", type=float, help="peak rate of Muon (default: 0.005)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make, compare, perhaps train, write and say what came out; 1 where it isn't the same."""
    from workbench.cli.export_model import sentences
    from workbench.exporting.exporter import export_model, refuse_place
    from workbench.exporting.parity import NotTheSame
    from workbench.exporting.sparse import same_as_dense
    from workbench.models.loaders import load_base
    from workbench.models.upcycling import upcycled, upcycling_in_words
    from workbench.models.writers import MODEL_FORMATS

    format = arguments.format or ("f32" if arguments.out.suffix.lower() == ".gguf" else "safetensors-f32")
    if format in MODEL_FORMATS:  # else the exporter names those that there are
        refuse_place(arguments.out, MODEL_FORMATS[format])
    _check_training(arguments)
    base = load_base(arguments.base)
    sparse = upcycled(base, arguments.experts, used=arguments.used, seed=arguments.seed)
    described = upcycling_in_words(base, arguments.experts, arguments.used, arguments.seed)
    if arguments.steps:
        from workbench.ladder.sparse import refuse_untrainable

        refuse_untrainable(sparse)
    print(growth_in_words(base, sparse))
    try:
        print(f"the same as the dense base: {same_as_dense(base, sparse)}", flush=True)
        if arguments.steps:
            sparse, told = _train(arguments, sparse)
            print("\n".join(learnt(told, arguments.steps)), flush=True)
            described += f"; trained for {arguments.steps} steps on the words of the ladder"
        made = export_model(sparse, arguments.out, format, description=described)
    except NotTheSame as error:
        print(f"\nworkbench: not the same: {error} Nothing was written.", file=sys.stderr)
        return 1
    print("\n".join(sentences(made)))
    return 0


def _check_training(arguments: argparse.Namespace) -> None:
    """Refuse a negative number, and settings of a training that isn't asked for."""
    from workbench.errors import InputError

    if arguments.steps < 0:
        raise InputError(f"--steps is {arguments.steps}; it has to be 0 or more")
    for name in ("balance", "matrix_rate"):
        value, option = getattr(arguments, name), f"--{name.replace('_', '-')}"
        if value is None:
            continue
        if not arguments.steps:
            raise InputError(f"{option} is for training, and no steps are asked for: add --steps 200")
        if not 0 <= value < float("inf"):
            raise InputError(f"{option} is {value:g}; it has to be a number of 0 or more")


def _train(arguments: argparse.Namespace, sparse: "Base") -> "tuple[Base, TrainedExperts]":
    from dataclasses import replace

    import torch

    from workbench.cli.stopping import stop_on_signals
    from workbench.ladder.sparse import BALANCE, SPARSE_SETTINGS, train_experts
    from workbench.ladder.training import Ended, lessons
    from workbench.views.progress import share_bar

    rate = SPARSE_SETTINGS.matrix_rate if arguments.matrix_rate is None else arguments.matrix_rate
    settings = replace(SPARSE_SETTINGS, matrix_rate=rate, seed=arguments.seed)
    torch.set_num_threads(settings.threads)
    with stop_on_signals() as should_stop, share_bar() as tell:

        def on_step(share: float) -> bool:
            tell("training", share)
            return not should_stop()

        try:
            trained = train_experts(
                sparse,
                arguments.steps,
                lessons(),
                balance=BALANCE if arguments.balance is None else arguments.balance,
                settings=settings,
                on_step=on_step,
            )
        except Ended as ended:
            raise KeyboardInterrupt from ended
    return trained


def growth_in_words(base: "Base", sparse: "Base") -> str:
    """Return how many weights there are, and how many a token goes through, before and after."""
    from workbench.models.experts import active_parameters

    config = sparse.decoder.config
    before, active = base.parameters, active_parameters(config, tied=sparse.decoder.tied)
    return (
        f"{config.experts} experts in each of {config.layers} blocks, {config.experts_used} for a token: "
        f"{sparse.parameters:,} parameters instead of {before:,}; a token goes through {active:,} "
        f"({active / before - 1:+.2%})"
    )


def learnt(told: "TrainedExperts", steps: int) -> list[str]:
    """Return what training came to, and how evenly experts are chosen."""
    low, high = float(told.shares.min()), float(told.shares.max())
    return [
        f"{steps} steps, {told.tokens:,} tokens, {told.flops:.2e} operations: held-out loss "
        f"{told.before:.4f} before and {told.after:.4f} after",
        f"an expert is chosen for {low:.0%} to {high:.0%} of a block's tokens; evenly would be "
        f"{1 / told.shares.shape[1]:.0%}",
    ]
