# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Why may a fine-tune be of low rank?
#
# *About a minute on two cores, half an hour with the exercises. No network.*
#
# Fine-tuning changes a weight `W` into `W + D`. LoRA writes the change as a product of two thin matrices,
# `D = scale B A`, and trains those. Why may it? And how thin is thin enough?
#
# Three exercises. Fill in what says *your turn* and run the check below it. Until then the check says "not
# yet", and the notebook goes on with the package's own functions.

# %%
import workbench as wb

import ipywidgets as widgets
from einops import einsum

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.lessons import check, score
from workbench.lessons.figures import held, low_rank
from workbench.training.evaluation import evaluate
from workbench.training.loop import train
from workbench.training.prepare import prepare

# %% [markdown]
# ## A real layer, and a real adapter
#
# The shapes, by the letters of this project: M tokens, K inputs, N outputs, R rank. The layer is one of the
# classroom base, packed in four bits; the adapter learnt the past tense from 128 verbs and comes with the
# package.

# %%
base = wb.load_base("classroom")
adapter = wb.shipped_study().adapter("clean", 128)
name = "layers.1.down_proj"
packed = base.decoder.weights[name]
(a, b), w = adapter.matrices(name), packed.dequantize()
packed, a.shape, b.shape

# %% [markdown]
# ## 1. The layer with its adapter
#
# `y = x W^T + scale (x A^T) B^T`, as an einsum with named axes. Multiply from the left: `x A^T` has R
# columns, and the big matrix `B A` is never made.
#
# **Exercise.** Write it down.


# %%
def layer_mine(x, w, a, b, scale):
    # your turn: x is (M, K), w is (N, K), a is (R, K), b is (N, R); the result is (M, N)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def layer_solved(x, w, a, b, scale):
    small = einsum(x, a, "M K, R K -> M R")
    return einsum(x, w, "M K, N K -> M N") + scale * einsum(small, b, "M R, N R -> M N")


# %%
check("layer", layer_mine)

# %% [markdown]
# ## 2. Merging
#
# When training is over, the adapter can go into the weight: then it costs nothing at all.
#
# **Exercise.** Which weight does in one product what the layer with its adapter does in three?


# %%
def merged_mine(w, a, b, scale):
    # your turn: the result is (N, K)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def merged_solved(w, a, b, scale):
    return w + scale * einsum(b, a, "N R, R K -> N K")


# %%
check("merged", merged_mine)

# %% [markdown]
# ## 3. What it costs
#
# **Exercise.** How many numbers are trained, over all adapted layers? `shapes` holds (N, K) of each.


# %%
def trained_mine(shapes, rank):
    # your turn: A is (rank, K), B is (N, rank), in every layer
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def trained_solved(shapes, rank):
    return sum(rank * (n + k) for n, k in shapes)


# %%
cell = CellConfig(data="verbs", base="classroom", template="verbs", size=512, steps=40)
shapes = list(adapter.shapes.values())


def trained(shapes, rank):
    return LoraStack([cell.with_(rank=rank)], base.decoder.config).weights.numel()


check("trained", trained_mine)

# %% [markdown]
# ## Why thin is enough
#
# A matrix is a sum of directions, the largest first. Keep only the first few of a weight, and most of it is
# gone. Keep as few of what a fine-tune has changed, and most of it is there. First the adapters: rank 1, 8
# and 64, which is as wide as the narrowest layer and no restriction at all. They train in one stack, each on
# the same 512 verbs.

# %%
ranks = (1, 8, 64)
cells = [cell.with_(rank=rank, alpha=2.0 * rank) for rank in ranks]
prepared = prepare(base, wb.load_dataset("verbs"), cells, "verbs")
stack, state = train(prepared.frozen, cells, [prepared.draws[one.key()] for one in cells])
state.losses[[0, -1]]  # in training, at the first step and at the last

# %%
untrained = evaluate(prepared.frozen, prepared.heldout, None).metrics(0)["loss"]
judged = [evaluate(prepared.frozen, prepared.heldout, stack).metrics(row) for row in range(len(ranks))]
for rank, one in zip(ranks, judged, strict=True):
    numbers = f"{trained(shapes, rank):7,} numbers"
    print(f"rank {rank:2}: {numbers}, loss {one['loss']:.3f}, {one['exact_match']:.0%} right")

# %% [markdown]
# Now the change that rank 64 was free to make, in the layer from above. Move the slider: how much of the
# change, and how much of the weight, do so many directions hold?

# %%
widest = stack.tensors(2)
change = 2.0 * widest[f"{name}.lora_B"] @ widest[f"{name}.lora_A"]
parts = {"what was learnt": change, "the weight": w}
shares = {words: held(matrix) for words, matrix in parts.items()}
slider = widgets.IntSlider(value=8, min=1, max=64, description="directions")
_ = widgets.interact(lambda n: print({words: f"{one[n - 1]:.0%}" for words, one in shares.items()}), n=slider)

# %% [markdown]
# ## The claim, checked
#
# Rank 1 trains a sixty-fourth of the numbers and comes within a few hundredths of rank 64's loss. A task that
# is one rule and some exceptions is a small change; teaching facts may take more directions. So the rank is
# a setting to measure and not to believe.

# %%
assert trained(shapes, 64) == 64 * trained(shapes, 1)
assert judged[0]["loss"] - judged[2]["loss"] < 0.05 < untrained - judged[2]["loss"]
assert shares["what was learnt"][7] > 2 * shares["the weight"][7]
print(score())
losses = {rank: one["loss"] for rank, one in zip(ranks, judged, strict=True)}
low_rank(parts, losses, {rank: trained(shapes, rank) for rank in ranks}, untrained)
