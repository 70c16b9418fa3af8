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
# Fine-tuning changes a weight matrix: $W$ becomes $W + \Delta$. LoRA writes the change as a product of
# two thin matrices,
#
# $$\Delta = s\,B A,$$
#
# and trains only those. Why is that enough? And how thin may they be?
#
# There are three exercises, and a fourth that is hard. Write your answer where it says *your turn*, and
# run the check below it. Until then the check says "not yet", and the notebook goes on without it.

# %%
import workbench as wb

import torch
from einops import einsum

from workbench.lessons import check

# %% [markdown]
# ## A real layer, and a real adapter
#
# Letters for the shapes: $M$ tokens, $K$ inputs, $N$ outputs, $R$ the rank. The layer is one of the
# classroom base. The adapter has learnt the past tense from 128 verbs; it comes with the package. The
# picture shows their numbers, drawn to scale (a dot is the mean of four by four).

# %%
from workbench.lessons.figures import thin_matrices

base = wb.load_base("classroom")
adapter = wb.shipped_study().adapter("clean", 128)
name = "layers.1.down_proj"
(a, b), w = adapter.matrices(name), base.decoder.weights[name].dequantize()
thin_matrices(w, a, b)

# %% [markdown]
# ## 1. The layer with its adapter
#
# $$y = x W^\top + s\,(x A^\top) B^\top$$
#
# Work from the left: $x A^\top$ has only $R$ columns, and the big matrix $B A$ is never made.
#
# **Exercise.** Write it as einsums with named axes.


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
# When training is over, the adapter can be added to the weight. Then it costs nothing at all.
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
# **Exercise.** How many numbers are trained, over all adapted layers? `shapes` holds $(N, K)$ of each.


# %%
def trained_mine(shapes, rank):
    # your turn: A is (rank, K), B is (N, rank), in every layer
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def trained_solved(shapes, rank):
    return sum(rank * (n + k) for n, k in shapes)


# %%
check("trained", trained_mine)

# %% [markdown]
# ## 4. Optional, hard: the gradients
#
# What does training need? The gradients of the loss at $A$ and $B$, and autograd is not there to help.
# The check compares yours with autograd's.
#
# **Exercise.** `g` is the gradient of the loss at $y$, of shape $(M, N)$. Return the gradient at $A$, of
# shape
# $(R, K)$, and beside it that at $B$, transposed: $(R, N)$.


# %%
def gradients_mine(x, a, b, scale, g):
    # your turn: torch.cat([...], dim=1) puts both side by side; the result is (R, K + N)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def gradients_solved(x, a, b, scale, g):
    at_a = scale * einsum(g, b, x, "M N, N R, M K -> R K")
    at_b = scale * einsum(g, x, a, "M N, M K, R K -> R N")
    return torch.cat([at_a, at_b], dim=1)


# %%
check("gradients", gradients_mine)

# %% [markdown]
# ## How wide does it have to be?
#
# Three adapters learn the past tense from the same 512 verbs: of rank 1, of rank 8, and of rank 64, which
# is half the width of the model. They train side by side.

# %%
from workbench.config import CellConfig
from workbench.training.prepare import prepare

cell = CellConfig(data="verbs", base="classroom", template="verbs", size=512, steps=40)
ranks, verbs = (1, 8, 64), wb.load_dataset("verbs")
cells = [cell.with_(rank=rank, alpha=2.0 * rank) for rank in ranks]
prepared = prepare(base, verbs, cells, "verbs")
draws = [prepared.draws[one.key()] for one in cells]
stack = wb.lessons.train_shown("training ranks 1, 8 and 64", prepared.frozen, cells, draws)

# %%
from workbench.training.evaluation import evaluate

judged = evaluate(prepared.frozen, prepared.heldout, stack)
right = {rank: judged.metrics(row)["exact_match"] for row, rank in enumerate(ranks)}
wb.lessons.GuessNumber(
    "02-rank-1",
    f"Rank 64 gets {right[64]:.0%} of 600 new verbs right. And rank 1, of 64 times less?",
    round(100 * right[1]),
    low=0,
    high=100,
    unit="%",
    words=f"And rank 8 gets {right[8]:.0%} right.",
)

# %% [markdown]
# ## Cut it
#
# Rank 64 was free to use 64 directions. Every matrix is a sum of directions, the largest first (its
# *singular vectors*): keep only the first few, in every layer, and ask again. How many does the model
# need?

# %%
cutting = wb.lessons.RankCut.of(base, verbs, prepared, stack, 2, name)
kept = dict(zip(cutting.answers["ranks"], cutting.answers["right"], strict=True))
wb.lessons.GuessNumber(
    "02-directions",
    "How many of the 64 directions does it need to be as good as with all of them?",
    min(rank for rank, share in kept.items() if share >= kept[64]),
    low=1,
    high=64,
    unit="directions",
    logarithmic=True,
)

# %% [markdown]
# Now move the slider: to the left, and look at the answers.

# %%
cutting

# %% [markdown]
# ## The claim, checked
#
# *A rule is a small change.* "Add *ed*" needs two directions of 64. What the others hold is mostly the
# 512 verbs themselves: with them the model gets *fewer* new verbs right. So a low rank costs little here,
# and can even help.
#
# On the left below: a few directions hold most of what was learnt, but little of the weight itself. A
# fine-tune may be thin; a model may not. On the right: rank 8 beats rank 64. The bars say how far chance
# alone could move these numbers, so one run like this doesn't prove that 8 is best. Other tasks, such as
# many new facts, may need more. The rank is a setting to measure.
#
# The layer above is stored in four bits a number. What does that lose? That is the next notebook.

# %%
from workbench.lessons import score
from workbench.lessons.figures import held, low_rank

change = cutting.values
assert kept[2] >= kept[64] - 0.02
assert right[1] > 0.8 > 10 * kept[0]
assert held(change)[7] > 2 * held(w)[7]
trained = {rank: int(rank * sum(map(sum, adapter.shapes.values()))) for rank in ranks}
print(score())
low_rank({"what was learnt": change, "the weight": w}, right, trained, len(verbs.heldout))
