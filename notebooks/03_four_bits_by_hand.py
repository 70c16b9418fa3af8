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
# # 3. What do four bits lose?
#
# *About a minute on two cores, half an hour with the exercises. No network.*
#
# Four bits can tell sixteen numbers apart. A weight can be any number. So the weights of a block share a
# scale, and each takes the nearest of sixteen levels. How much is lost: of the weights, and of what the
# model answers? And where should the levels lie?
#
# There are three exercises, and a fourth that is hard. Write your answer where it says *your turn*, and
# run the check below it. Until then the check says "not yet", and the notebook goes on without it.

# %%
import workbench as wb

import torch
from einops import rearrange

from workbench.lessons import check

# %% [markdown]
# ## Numbers that were never quantized
#
# The classroom base comes in four bits already: to pack it again would lose nothing. What an adapter has
# learnt is fresh. We take the change $s\,B A$ that it makes to every layer.

# %%
shipped, base = wb.shipped_study(), wb.load_base("classroom")
adapter = shipped.adapter("clean", 128)
learnt = {name: adapter.change(name) for name in adapter.layers}
w = torch.cat([matrix.flatten() for matrix in learnt.values()])[None]
sizes = {"typical size": float(w.std()), "largest": float(w.abs().max())}
wb.lessons.Facts("what was learnt", {"layers": len(learnt), "numbers": w.numel(), **sizes})

# %% [markdown]
# ## 1. A scale for each block
#
# Letters for the shapes: $N$ rows and $K$ columns, cut into $C$ blocks of $B$ columns each. The scale of
# a block is its largest magnitude,
#
# $$s_{nc} = \max_b |w_{ncb}|.$$
#
# **Exercise.** Find it for each block.


# %%
def absmax_mine(w, block):
    # your turn: w is (N, K), block is B; the result is (N, C)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def absmax_solved(w, block):
    return rearrange(w, "N (C B) -> N C B", B=block).abs().amax(-1)


# %%
check("absmax", absmax_mine)

# %% [markdown]
# ## 2. A code for each weight
#
# Divided by its scale, every weight lies between $-1$ and $1$. NF4 lays its sixteen levels $l_0 < \dots <
# l_{15}$ where a normal distribution has equal shares: close together near zero.
#
# **Exercise.** Give each weight the code $\arg\min_i |w - l_i|$ of the nearest level.


# %%
def nearest_mine(relative, levels):
    # your turn: relative is (N, K), levels is (16,), in rising order; the result is (N, K)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def nearest_solved(relative, levels):
    return (relative[..., None] - levels).abs().argmin(-1)


# %%
check("nearest", nearest_mine)

# %% [markdown]
# ## 3. Two codes in a byte
#
# **Exercise.** Put neighbours together, the earlier one into the upper four bits: $16\,c_{2i} +
# c_{2i+1}$.


# %%
def packed_mine(codes):
    # your turn: codes is (N, K) of uint8, K is even; the result is (N, K/2) of uint8
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def packed_solved(codes):
    return codes[:, 0::2] << 4 | codes[:, 1::2]


# %%
check("packed", packed_mine)

# %% [markdown]
# ## 4. Optional, hard: a better scale
#
# The largest magnitude is an easy scale, not the best one. Say the codes are chosen, so that the weights
# $w$ of a block stand for the levels $q$. Then the scale $c$ with the least squared error makes
#
# $$\sum_b (w_b - c\,q_b)^2$$
#
# as small as possible.
#
# **Exercise.** Find it for each block.


# %%
def best_scale_mine(w, q):
    # your turn: w is (C, B); q, the levels, is (C, B); the result is (C,)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def best_scale_solved(w, q):
    return (w * q).sum(-1) / (q * q).sum(-1)


# %%
check("best_scale", best_scale_mine)

# %% [markdown]
# ## Lay the levels yourself
#
# How large is the error, do you think? It is $\lVert \hat w - w \rVert / \lVert w \rVert$: how far the
# weights move, over how long they are. The levels are NF4's, in blocks of 64.

# %%
from qlora_kernels.formats_layout import LEVELS

blocks = rearrange(w, "N (C B) -> (N C) B", B=64)
relative = (blocks / blocks.abs().amax(-1, keepdim=True))[:1024]
levels = torch.tensor(LEVELS["nf4"])
off = levels[(relative[..., None] - levels).abs().argmin(-1)] - relative
wb.lessons.GuessNumber(
    "03-error",
    "How far do four bits move the weights?",
    round(100 * float(off.norm() / relative.norm()), 1),
    low=0.1,
    high=100,
    unit="% of their size",
    logarithmic=True,
)

# %% [markdown]
# The levels begin in even steps. Drag them: with the mouse, a finger, or the Tab and arrow keys. Can you
# beat NF4?

# %%
even = torch.linspace(-1, 1, 16).tolist()
wb.lessons.Levels(relative, {"even": even, "NF4": LEVELS["nf4"]})

# %% [markdown]
# ## What the weights lose
#
# Formats differ in their levels and in what a block brings along. NF4 has uneven levels and one scale.
# INT4 has even levels, a scale and an offset. Q4_0 (one scale) and Q4_1 (a scale and an offset) are those
# of GGUF files, with 16 bits for each of these numbers.

# %%
from qlora_kernels import FORMATS


def error(format, block):
    packed = wb.quantize(w, format, block_size=block)
    return packed.bits_per_weight, float((packed.dequantize() - w).norm() / w.norm())


errors = {}
with wb.lessons.working("packing in four formats") as tell:
    for format in ("nf4", "int4", "q4_0", "q4_1"):
        errors[format] = dict(error(format, block) for block in FORMATS[format].block_sizes)
        tell(len(errors) / 4)

# %%
at_32 = {format: round(100 * error(format, 32)[1], 2) for format in errors}
asked = "In blocks of 32: which loses most? Put it on top."
wb.lessons.GuessOrder("03-formats", asked, at_32, unit="% of the weights")

# %% [markdown]
# ## What the answers lose
#
# Merge the adapter into the base, pack what comes out, and ask for the past tense of 600 new verbs.

# %%
from dataclasses import replace

from workbench.models.decoder import Decoder
from workbench.training.evaluation import evaluate
from workbench.training.prepare import prepare

prepared = prepare(base, wb.load_dataset("verbs"), [shipped.cell("clean", 128)], "verbs")


def right(matrices):
    decoder = Decoder(base.decoder.config, {**base.decoder.weights, **matrices})
    frozen = replace(prepared.frozen, decoder=decoder)
    return evaluate(frozen, prepared.heldout, None).metrics(0)["exact_match"]


# %%
merged = {name: base.decoder.weight(name) + matrix for name, matrix in learnt.items()}
scores = {"as it was merged": right(merged)}
with wb.lessons.working("asking in four formats") as tell:
    for format in errors:
        packed = {n: wb.quantize(one, format, block_size=32) for n, one in merged.items()}
        scores[format] = right(packed)
        tell((len(scores) - 1) / 4)

# %%
wb.lessons.GuessNumber(
    "03-answers",
    f"Merged, it gets {100 * scores['as it was merged']:.1f}% right. And packed in NF4?",
    round(100 * scores["nf4"], 1),
    low=0,
    high=100,
    unit="%",
)

# %% [markdown]
# ## The claim, checked
#
# Every format moves the weights by about a tenth of their size, and changes one or two answers in a
# hundred. A model with many weights forgives small errors in each.
#
# Do NF4's uneven levels pay? That depends on the block. In large blocks one large weight stretches the
# scale, most weights are small beside it, and levels close to zero help. In small blocks even steps with
# an offset are better. And NF4 is not the best for these weights: the levels that *Show the best* draws
# lose less. Measure before you choose.
#
# Next: the same adapter while it learns. Or, if you want to know how a GPU computes with four bits, the
# kernel lab.

# %%
from workbench.lessons import score
from workbench.lessons.figures import four_bits

few, many = (4 + 32 / 256, 4 + 32 / 32)
assert all(0.05 < one < 0.12 for points in errors.values() for one in points.values())
assert errors["nf4"][few] < errors["int4"][few]
assert errors["nf4"][many] > errors["int4"][many]
assert max(abs(one - scores["as it was merged"]) for one in scores.values()) < 0.03
print(score())
four_bits(errors, scores)
