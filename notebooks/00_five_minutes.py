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
# # 0. Is a clean example worth more than a spoiled one?
#
# *Seconds to run; a study of your own trains beside it for about a minute, on two cores. No network.*
#
# A small model knows how English words are spelled. It has never seen a past tense. We teach it past tenses
# in two ways: from data that is all right, and from data in which half of the answers are wrong.
#
# How many half-spoiled examples do the work of one clean example?

# %%
import workbench as wb

# %% [markdown]
# ## Start a study of your own
#
# A study trains many small models: each quality of the data, each size, and each seed. A seed is a new
# throw of the dice, so three of them show how much chance alone changes a result.
#
# It trains beside this page. Watch the map fill in, and read on.

# %%
half = wb.Quality(corruption="other_form", share=0.5)
study = wb.study("verbs", budget="coffee", qualities=(wb.Quality(), half), sizes=(32, 128, 512))
job = wb.start(study, "runs/five-minutes")
wb.widgets.GridMap(job.study_folder)

# %% [markdown]
# ## What "half spoiled" means
#
# Half of the answers are another form of the same verb. The verbs on which the models are tested are never
# spoiled.

# %%
from workbench.studies.examples import changed_examples

spoiled = changed_examples(study, wb.load_dataset("verbs"), each=5)
shown = {one["prompt"]: f"{one['before']} became {one['response']}" for one in spoiled}
wb.lessons.Facts("asked for, and what the answer became", shown)

# %% [markdown]
# ## First, your guess
#
# A wider study of the same kind comes with the workbench: seven sizes, four seeds. Below is how often a
# model is right that learnt from clean examples. Draw the line for half-spoiled ones.

# %%
shipped = wb.shipped_study()
exact = shipped.analysis("exact_match")
wb.widgets.Guess(shipped.table().rows, exact, half.label, name="00-line")

# %% [markdown]
# ## What was measured
#
# Each point is the mean of four models, its bar their range. The dotted line is the model before training.

# %%
shipped.figure(qualities=("clean", half))

# %% [markdown]
# ## How many replace one?
#
# The same picture, read from left to right: you have 32 clean examples. How many half-spoiled examples give
# as good a model? Divide by 32. Guess before you look.

# %%
rate = shipped.exchange_rate("exact_match", reference="clean", other=half.label)
at_32 = float(f"{rate.rates.median[rate.rates.size == 32].item():.2g}")
wb.lessons.GuessNumber(
    "00-at-32",
    "You have 32 clean examples. How many half-spoiled ones do the work of one of them?",
    at_32,
    low=1,
    high=100,
    logarithmic=True,
)

# %% [markdown]
# The answer in words, as the study's report says it, too. The price depends on how many clean examples you
# have: with more of them, no amount of half-spoiled examples that was tried is enough.

# %%
wb.lessons.say(rate.sentence())

# %% [markdown]
# ## Your own answer
#
# From the study that you started above. It comes here by itself when the map is full.


# %%
def own_answer():
    own = wb.open_study(job.study_folder)
    return own.exchange_rate("exact_match", reference="clean", other=half.label).sentence()


wb.lessons.WhenFinished(job, own_answer)

# %% [markdown]
# Yours has three seeds and three sizes, the wider study four and seven. So yours is less certain, and where
# the two differ, the wider one is the better answer.
#
# ## The claim, checked
#
# At every size and with every seed the clean data gives the better model, and one clean example is worth
# more than two half-spoiled ones. So wrong answers do harm: half of a half-spoiled set is right, and the
# whole of it does not even do the work of half a clean set.

# %%
score = {(row["quality"], row["size"], row["seed"]): row["exact_match"] for row in shipped.table().rows}
pairs = [(score[key], score[half.label, *key[1:]]) for key in score if key[0] == "clean" and key[1] > 0]
better = sum(clean > spoiled for clean, spoiled in pairs)
assert better == len(pairs)
assert rate.rates.low[0] > 2
wb.lessons.Facts("clean against half spoiled", {"pairs of models": len(pairs), "clean is better in": better})

# %% [markdown]
# Next: can you find the spoiled examples in a pile, and can the model?
