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
# Four bits tell sixteen numbers apart. A weight has more to say than that: so weights share a scale in
# blocks, and sixteen levels are laid where weights are. How much is lost, in the weights and in what the
# model answers? And is a cleverer codebook worth it?
#
# Three exercises. Fill in what says *your turn* and run the check below it. Until then the check says "not
# yet", and the notebook goes on with the package's own functions.

# %%
import workbench as wb

from dataclasses import replace

import ipywidgets as widgets
import torch
from einops import rearrange

from qlora_kernels import FORMATS
from qlora_kernels.formats_layout import LEVELS
from workbench.lessons import check, score
from workbench.lessons.figures import codebook, four_bits
from workbench.training.evaluation import evaluate
from workbench.training.prepare import prepare

# %% [markdown]
# ## Numbers that were never quantized
#
# The classroom base comes in four bits: its weights lie on a grid already, and packing them again would look
# better than it is. What an adapter has learnt is fresh: the change that it makes to every layer, 737,280
# real numbers.

# %%
shipped, base = wb.shipped_study(), wb.load_base("classroom")
adapter = shipped.adapter("clean", 128)
learnt = {n: adapter.change(n) for n in adapter.layers}
w = torch.cat([matrix.flatten() for matrix in learnt.values()])[None]
w.shape, float(w.std())

# %% [markdown]
# ## 1. A scale for each block
#
# The shapes, by the letters of this project: N rows, K columns, cut into C blocks of B columns each.
#
# **Exercise.** Find the largest magnitude in each block.


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
# Divide by the scale, and every weight lies between -1 and 1. NF4 puts its sixteen levels where a normal
# distribution has equal shares: close together near zero.
#
# **Exercise.** Give each weight the code, 0 to 15, of the level that is nearest.


# %%
def nearest_mine(relative, levels):
    # your turn: relative is (N, K), levels is (16,), in rising order; the result is (N, K)
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def nearest_solved(relative, levels):
    return (relative[..., None] - levels).abs().argmin(-1)


# %%
blocks = rearrange(w, "N (C B) -> (N C) B", B=64)
relative = blocks / blocks.abs().amax(-1, keepdim=True)
levels = torch.tensor(LEVELS["nf4"])
check("nearest", nearest_mine)

# %% [markdown]
# ## 3. Two codes in a byte
#
# **Exercise.** Put neighbours together, the earlier one into the upper four bits.


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
# ## Lay the levels yourself
#
# At 0 the sixteen levels stand in even steps, at 1 they are NF4's. Turn the dial: where is the error
# smallest? And past 1?


# %%
def bent(bend):
    laid = (1 - bend) * torch.linspace(-1, 1, 16) + bend * levels
    nearest = laid[(relative[..., None] - laid).abs().argmin(-1)]
    return laid, float((nearest - relative).norm() / relative.norm())


dial = widgets.FloatSlider(value=0.5, min=0, max=1.5, step=0.1, description="bend")
shown = relative[:256]
_ = widgets.interact(
    lambda bend: codebook(shown, bent(bend)[0].tolist(), f"error {bent(bend)[1]:.1%}"), bend=dial
)

# %% [markdown]
# ## What the weights lose
#
# Smaller blocks cost more bits for scales. So compare formats at equal bits. INT4 has even steps, a scale
# and an offset for each block; Q4_0 and Q4_1 are those of GGUF files.


# %%
def error(format, block):
    packed = wb.quantize(w, format, block_size=block)
    return packed.bits_per_weight, round(float((packed.dequantize() - w).norm() / w.norm()), 4)


formats = ("nf4", "int4", "q4_0", "q4_1")
errors = {one: dict(error(one, block) for block in FORMATS[one].block_sizes) for one in formats}
errors

# %% [markdown]
# ## What the answers lose
#
# Merge the adapter into the base, pack what comes out, and ask for 600 held-out verbs.

# %%
from workbench.models.decoder import Decoder

prepared = prepare(base, wb.load_dataset("verbs"), [shipped.cell("clean", 128)], "verbs")


def right(matrices):
    frozen = replace(
        prepared.frozen, decoder=Decoder(base.decoder.config, {**base.decoder.weights, **matrices})
    )
    return round(evaluate(frozen, prepared.heldout, None).metrics(0)["exact_match"], 3)


# %%
merged = {n: base.decoder.weight(n) + matrix for n, matrix in learnt.items()}
scores = {"as it was merged": right(merged)}
for one in formats:
    scores[one] = right({n: wb.quantize(matrix, one, block_size=32) for n, matrix in merged.items()})
scores

# %% [markdown]
# ## The claim, checked
#
# Every format moves the weights by a tenth of their size, and the answers by one or two verbs in a hundred.
# Whether NF4's uneven levels pay hangs on the block: in large blocks, where one outlier stretches the scale,
# they do; in small ones even steps with an offset of their own are better. Measure before you choose.

# %%
few, many = (4 + 32 / 256, 4 + 32 / 32)
assert all(0.05 < one < 0.12 for points in errors.values() for one in points.values())
assert errors["nf4"][few] < errors["int4"][few]
assert errors["nf4"][many] > errors["int4"][many]
assert max(abs(one - scores["as it was merged"]) for one in scores.values()) < 0.03
print(score())
four_bits(errors, scores)
