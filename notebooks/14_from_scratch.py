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
# # 14. Can you write the whole answer yourself, in 200 lines?
#
# *About half a minute on two cores. No network.*
#
# The other notebooks call the workbench. This one doesn't. It reads four-bit weights, runs a language
# model, fine-tunes it with LoRA on clean and on spoiled data, fits a curve to each, and reads off the
# price of a clean example. You see every line, and you can change every line. Only the end compares it
# with the package.

# %%
import math
import torch
from einops import einsum, rearrange, repeat

# %% [markdown]
# ## 1. The base: four bits a weight
#
# The file holds a small model that writes English words letter by letter. Most of its weights are stored
# in *blocks* of 32. A block has one scale $s$ (two bytes) and 32 codes $q$ of four bits each (16 bytes:
# the first 16 codes are the low halves of the bytes, the others the high halves). So a weight takes $18
# \cdot 8 / 32 = 4.5$ bits, and its value is
#
# $$w = s \cdot (q - 8), \qquad q \in \{0, 1, \dots, 15\}.$$
#
# The table of letters is stored in eight bits: the same, with one signed byte for each code.


# %%
def parts_of_blocks(rows, size):
    blocks = rearrange(rows, "n (block byte) -> n block byte", byte=size)
    scale, codes = (part.contiguous() for part in blocks.split([2, size - 2], dim=-1))
    return scale.view(torch.float16).float(), codes


def four_bits(rows):
    scale, codes = parts_of_blocks(rows, 18)
    codes = torch.cat([codes & 15, codes >> 4], dim=-1).float() - 8
    return rearrange(scale * codes, "n b c -> n (b c)")


def eight_bits(rows):
    scale, codes = parts_of_blocks(rows, 34)
    return rearrange(scale * codes.view(torch.int8).float(), "n b c -> n (b c)")


# %% [markdown]
# The file's format is GGUF. The package `gguf` finds the tensors in it; decoding them is our own code.

# %%
from importlib.util import find_spec
from pathlib import Path
from gguf import GGUFReader

folder = Path(find_spec("workbench").origin).parent
file = GGUFReader(folder / "models/classroom/classroom.gguf")
read = {"Q4_0": four_bits, "Q8_0": eight_bits, "F32": lambda values: values}
base = {t.name: read[t.tensor_type.name](torch.tensor(t.data)) for t in file.tensors}
letters = file.fields["tokenizer.ggml.tokens"].contents()
code_of = {letter: code for code, letter in enumerate(letters)}
count = sum(weight.numel() for weight in base.values())
stored = 8 * sum(one.data.nbytes for one in file.tensors)
print(f"{count:,} weights, stored in {stored / count:.2f} bits each")

# %% [markdown]
# ## 2. The model: a decoder in the manner of LLaMA
#
# Letters in the shapes: `g` cells that train side by side, `e` examples, `s` letters of an example, `k`
# inputs and `n` outputs of a layer, `h` heads of attention, `d` numbers in a head.
#
# - **RMSNorm** gives every vector the length 1 (as a root mean square), and then scales it: $x \mapsto w
#   \cdot x \,/ \sqrt{\tfrac{1}{k} \sum_i x_i^2 + \varepsilon}$.
# - **Rotary positions**: two neighbours in a head are one complex number, and the letter at place $p$
#   turns it: $z_j \mapsto z_j \, e^{i p \theta_j}$ with $\theta_j = 10000^{-2j/d}$. Queries and keys then
#   meet by their distance.
# - **LoRA**: each layer of the base stays frozen. Beside it two thin matrices are trained: $y = W x +
#   \frac{\alpha}{r} B A x$.

# %%
LAYERS, HEADS, KEY_HEADS, HEAD, RANK, ALPHA = 4, 4, 2, 32, 8, 16


def norm(x, name):
    return base[name] * x * torch.rsqrt((x**2).mean(dim=-1, keepdim=True) + 1e-5)


def turn(x):
    places, pairs = torch.arange(x.shape[2]).double(), torch.arange(HEAD // 2).double()
    angle = einsum(places, 10_000 ** (-2 * pairs / HEAD), "s, d -> s d").float()
    z = torch.view_as_complex(rearrange(x, "g e s h (d c) -> g e h s d c", c=2))
    turned = torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle))
    return rearrange(turned, "g e h s d c -> g e s h (d c)")


# %%
def linear(x, name, lora):
    y = einsum(x, base[f"{name}.weight"], "g e s k, n k -> g e s n")
    if name not in lora:
        return y
    a, b = lora[name]
    thin = einsum(x, a, "g e s k, g r k -> g e s r")
    return y + ALPHA / RANK * einsum(thin, b, "g e s r, g n r -> g e s n")


# %% [markdown]
# **Attention**: each letter asks (query $q$), each letter before it answers (key $k$), and the values $v$
# of those who fit best are mixed: $\mathrm{softmax}\big(q k^\top / \sqrt{d}\big)\, v$. Two heads of
# queries share one head of keys. Then a **gated unit** looks at each letter alone: $W_3
# \big(\mathrm{silu}(W_1 x) \cdot W_2 x\big)$.


# %%
def attention(x, block, lora):
    q, k, v = (linear(x, f"{block}.attn_{name}", lora) for name in "qkv")
    q = turn(rearrange(q, "g e s (h d) -> g e s h d", d=HEAD))
    k = turn(rearrange(k, "g e s (h d) -> g e s h d", d=HEAD))
    v = rearrange(v, "g e s (h d) -> g e s h d", d=HEAD)
    k, v = (repeat(x, "g e s h d -> g e s (h q) d", q=HEADS // KEY_HEADS) for x in (k, v))
    scores = einsum(q, k, "g e s h d, g e z h d -> g e h s z") / math.sqrt(HEAD)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    shares = scores.masked_fill(later, -torch.inf).softmax(dim=-1)
    mixed = einsum(shares, v, "g e h s z, g e z h d -> g e s h d")
    return linear(mixed.flatten(-2), f"{block}.attn_output", lora)


# %%
def gated(x, block, lora):
    gate, up = (linear(x, f"{block}.ffn_{name}", lora) for name in ("gate", "up"))
    return linear(torch.nn.functional.silu(gate) * up, f"{block}.ffn_down", lora)


def logits(tokens, lora):
    x = base["token_embd.weight"][tokens]
    for block in (f"blk.{layer}" for layer in range(LAYERS)):
        x = x + attention(norm(x, f"{block}.attn_norm.weight"), block, lora)
        x = x + gated(norm(x, f"{block}.ffn_norm.weight"), block, lora)
    x = norm(x, "output_norm.weight")
    return einsum(x, base["token_embd.weight"], "g e s k, n k -> g e s n")


# %% [markdown]
# ## 3. The data: right pairs, and spoiled ones
#
# The task is the past tense of English verbs: `past walk=` and then `walked`. The base has never seen it.
# The verbs come from the package `lemminflect`. A spoiled example has another form of the verb in place
# of the past: `past walk=walking`.

# %%
import csv
import gzip
import re

words = Path(find_spec("lemminflect").origin).parent / "resources/infl_lu.csv.gz"
with gzip.open(words, "rt", encoding="utf-8") as lines:
    rows = [row for row in csv.reader(lines) if row[1] == "verb"]
verbs = [
    (lemma, past, [ing, third])
    for lemma, _, past, _, ing, third in rows
    if re.fullmatch("([a-z]+ ){4}", f"{lemma} {past} {ing} {third} ")
]
print(f"{len(verbs):,} verbs, such as {verbs[3000][0]}: past {verbs[3000][1]}")

# %% [markdown]
# 200 verbs are put aside to judge by. A cell draws its examples by its seed. Clean and spoiled cells of
# one seed draw the same verbs, so they differ in nothing else.

# %%
import random

random.Random(0).shuffle(verbs)
judged, learnt = [(lemma, past) for lemma, past, _ in verbs[:200]], verbs[200:]


def draw(size, seed, spoiled):
    chance = random.Random(seed)
    order = chance.sample(learnt, len(learnt))
    coins = [chance.random() for _ in order]
    wrong = [chance.choice(others) for _, _, others in order]
    return [
        (lemma, other if coin < spoiled else past)
        for (lemma, past, _), coin, other in zip(order[:size], coins, wrong, strict=False)
    ]


# %% [markdown]
# Examples become numbers, one for each letter. All are filled up to the length of the longest. The model
# learns the letters behind `=` only, and the sign that ends the word.


# %%
def numbers(cells):
    longest = max(len(f"past {a}={b}") for cell in cells for a, b in cell) + 2
    tokens = torch.zeros(len(cells), len(cells[0]), longest, dtype=torch.long)
    learn = torch.zeros_like(tokens, dtype=torch.bool)
    for g, cell in enumerate(cells):
        for e, (lemma, answer) in enumerate(cell):
            text = ["<bos>", *f"past {lemma}={answer}", "<eos>"]
            tokens[g, e, : len(text)] = torch.tensor([code_of[letter] for letter in text])
            learn[g, e, text.index("=") + 1 : len(text)] = True
    return tokens, learn


# %% [markdown]
# The loss is the *surprise*: the mean of $-\log p(\text{next letter})$ over the letters to learn, in
# nats. It is computed for each cell by itself.


# %%
def surprise(tokens, learn, lora):
    told = logits(tokens[:, :, :-1], lora).log_softmax(dim=-1)
    nats = -told.gather(-1, tokens[:, :, 1:, None])[..., 0]
    return (nats * learn[:, :, 1:]).sum((1, 2)) / learn.sum((1, 2))


# %% [markdown]
# ## 4. The grid: 24 trainings at once
#
# A *cell* is one training: a quality, a size, a seed. All cells share the frozen base, so they train side
# by side: the axis `g` of every product counts them. $A$ begins with small random numbers and $B$ with
# zeros: at first an adapter changes nothing.

# %%
SPOILED, SIZES, SEEDS = {"clean": 0, "spoiled": 0.2}, (8, 32, 128, 512), (0, 1, 2)
STEPS, BATCH, RATE = 40, 8, 4e-3
grid = [(quality, size, seed) for quality in SPOILED for size in SIZES for seed in SEEDS]
layers = [one.removesuffix(".weight") for one in base if "blk" in one and "norm" not in one]


def fresh(cells):
    torch.manual_seed(0)
    lora = {}
    for name in layers:
        n, k = base[f"{name}.weight"].shape
        a = (2 * torch.rand(cells, RANK, k) - 1) / math.sqrt(k)
        lora[name] = (a.requires_grad_(), torch.zeros(cells, n, RANK, requires_grad=True))
    return lora


# %% [markdown]
# **Guess before you train.** In the spoiled data one example in five is wrong. You have 32 clean
# examples. How many examples of the spoiled data do the work of one clean one? Put your number here. The
# picture at the end shows it beside the answer.

# %%
my_guess = 2

# %% [markdown]
# Each step takes 8 examples for each cell, and Adam moves $A$ and $B$ down the slope of the surprise.


# %%
def train(draws):
    lora, chance = fresh(len(draws)), random.Random(0)
    adam = torch.optim.Adam([matrix for pair in lora.values() for matrix in pair])
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 6) * (1 - step / STEPS)
        loss = surprise(*numbers([chance.choices(one, k=BATCH) for one in draws]), lora)
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        if step % 5 == 4:
            print(f"step {step + 1} of {STEPS}: {loss.mean():.2f} nats a letter")
    return lora


trained = train([draw(size, seed, SPOILED[quality]) for quality, size, seed in grid])

# %% [markdown]
# Judge each cell by the verbs that were put aside. A word counts as right if every letter of it is the
# most likely one. That is the word which the model would write by itself.


# %%
@torch.no_grad()
def mistakes(cell):
    own = {name: (a[cell, None], b[cell, None]) for name, (a, b) in trained.items()}
    tokens, learn = numbers([judged])
    said = logits(tokens[:, :, :-1], own).argmax(dim=-1)
    wrong = (said != tokens[:, :, 1:]) & learn[:, :, 1:]
    return wrong.any(dim=-1).float().mean().item()


wrong = torch.tensor([mistakes(cell) for cell in range(len(grid))]).double()
clean, spoiled = wrong.view(2, len(SIZES), len(SEEDS)).mean(dim=-1)
for size, one, other in zip(SIZES, clean, spoiled, strict=True):
    print(f"{size:4} examples: {one:.0%} of the words wrong, with spoiled data {other:.0%}")

# %% [markdown]
# ## 5. A curve for each quality
#
# Mistakes fall with the size $n$ like a power, down to a rest $E$ that more data doesn't remove:
#
# $$m(n) = E + B \, n^{-\beta}, \qquad E, B \ge 0.$$
#
# For a given $\beta$ that is a straight line in $n^{-\beta}$: least squares gives $E$ and $B$. So try
# many $\beta$ and keep the best.


# %%
def curve(sizes, values):
    n, best = torch.tensor(sizes).double(), None
    for beta in torch.linspace(0.05, 2, 40).double():
        columns = torch.stack([torch.ones_like(n), n**-beta], dim=1)
        for keep in ([0, 1], [0], [1]):
            solution = torch.zeros(2).double()
            solution[keep] = torch.linalg.lstsq(columns[:, keep], values).solution
            error = ((columns @ solution - values) ** 2).sum()
            if (solution >= 0).all() and (best is None or error < best[0]):
                best = error, *solution, beta
    _, rest, slope, beta = best
    return lambda size: rest + slope * torch.as_tensor(size).double() ** -beta


curves = {"clean": curve(SIZES, clean), "spoiled": curve(SIZES, spoiled)}

# %% [markdown]
# ## 6. The price of a clean example
#
# Take $n$ clean examples. Find the smallest $m$ with $m_\text{spoiled}(m) \le m_\text{clean}(n)$. Then
# one clean example is worth $m / n$ spoiled ones. If no size that was tried is enough, the answer is "not
# reached", and no number.


# %%
tried = torch.logspace(math.log10(SIZES[0]), math.log10(SIZES[-1]), 400).double()


def rate(n):
    enough = tried[curves["spoiled"](tried) <= curves["clean"](n)]
    return enough[0].item() / n if len(enough) else math.inf


for n in SIZES[:-1]:
    words = f"{rate(n):.1f} spoiled ones" if rate(n) < math.inf else "more than was tried"
    print(f"with {n:3} clean examples, one of them is worth {words}")

# %% [markdown]
# ## 7. The claim, checked: the workbench says the same
#
# From here on the package is used, to check what you have read. First the base: each decoded weight must
# be the same number, bit for bit, and the same text must get the same logits, up to $10^{-4}$. (The
# package turns the two halves of a head where we turn neighbours, so it holds the rows of queries and
# keys in another order.)

# %%
import workbench as wb
from workbench.laws.analysis import fit_curves
from workbench.lessons import from_scratch as check

package = wb.load_base("classroom")
tokens, learn = numbers([batch := draw(8, 0, 0)])
apart = {"weights": check.weights_apart(base, package)}
apart["logits"] = check.logits_apart(logits(tokens, {}).detach(), batch, package)

# %% [markdown]
# Then one step of training: the loss of a batch, and the slopes of all LoRA matrices. $B$ gets small
# random numbers, so that no slope is zero.

# %%
lora = fresh(1)
for _, b in lora.values():
    torch.nn.init.normal_(b, std=0.01)
loss = surprise(tokens, learn, lora)
loss.backward()
apart["loss"], apart["slopes"] = check.step_apart(loss, lora, batch, package)
wb.lessons.Facts("the largest differences from the package", apart)

# %% [markdown]
# Last the answer. The package fits its own laws to the same 24 results. Grey is where its curves lie in
# 95 of 100 cases; points and lines are ours. The package draws them, in the colours of your page.

# %%
rows = [
    {"quality": quality, "size": size, "seed": seed, "exact_match": 1 - one}
    for (quality, size, seed), one in zip(grid, wrong.flatten().tolist(), strict=True)
]
table = wb.read_table(rows, name="from scratch")
bands = fit_curves(table, "exact_match")


# %%
def picture(axes):
    for name, values in (("clean", clean), ("spoiled", spoiled)):
        (drawn,) = axes.plot(tried, curves[name](tried), label=name)
        axes.scatter(SIZES, values, color=drawn.get_color())
        band = bands[name]
        axes.fill_between(band.size, 1 - band.high, 1 - band.low, color=FAINT, alpha=0.3)
    level = curves["clean"](32)
    axes.plot([32, 32 * rate(32)], [level] * 2, color=INK, label=f"the answer: {rate(32):.1f}")
    axes.plot([32, 32 * my_guess], [level + 0.01] * 2, ":", label=f"your guess: {my_guess}")
    axes.set(xscale="log", xlabel="training examples", ylabel="share of the words wrong")
    axes.legend()


# %%
from workbench.lessons.figures import panels
from workbench.views.palette import FAINT, INK

panels([picture])

# %%
print(f"Ours, with 32 clean examples: {rate(32):.1f} to 1. The package:")
say = wb.exchange_rate(table, "exact_match", reference="clean", other="spoiled", sizes=[32])
say

# %% [markdown]
# Our number looks sure. The package's interval shows how wide the answer still is: other seeds would give
# another number. That is what it adds to these lines: intervals, checks of bad input, many formats,
# studies that go on after a stop, and speed.

# %%
assert apart.pop("weights") == 0
assert max(apart.values()) < 1e-4
assert check.share_inside(curves, bands) > 0.9
assert say.rates.low[0] <= rate(32) <= say.rates.high[0]

# %% [markdown]
# You have seen the whole workbench on one page. Change a line above (the rank, the bits, the share of
# spoiled examples) and run it again. The next question is yours.
