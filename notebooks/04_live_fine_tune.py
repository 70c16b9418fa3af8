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
# # 4. Must training hold the notebook?
#
# *Seconds to run; the models train for about a minute beside it, on two cores. No network.*
#
# A notebook that trains in a cell is deaf until it ends. Here a study trains in a process of its own and
# writes down every step. This page only reads. So you can reload it, restart its kernel, or close it and
# come back: what was recorded is there.

# %%
import workbench as wb

import time

begun = time.monotonic()

# %% [markdown]
# ## Start it
#
# Two qualities, two sizes, three seeds: twelve LoRA adapters over one frozen base. Run this cell twice: the
# second time it attaches to what is there.

# %%
qualities = (wb.Quality(), wb.Quality(corruption="other_form", share=0.5))
study = wb.study("verbs", budget="coffee", qualities=qualities, sizes=(32, 512), steps=60)
job = wb.start(study, "runs/live")

# %% [markdown]
# ## Watch it
#
# Each line is one model. Press *Stop* in the middle: what is done is kept, and *Go on* goes on.
#
# Which lines fall faster, and why do the spoiled ones stop where they stop? A model that is told *walking*
# for *walked* half of the time can't know which it will be. On 32 examples it can learn them by heart.

# %%
view = wb.watch(job)
view

# %% [markdown]
# ## The claim, checked
#
# Training need not hold the notebook: everything above ran while the models train. The picture is what was
# recorded when this cell ran: run it again for more.

# %%
assert job.state().name in ("starting", "running", "finished")
assert time.monotonic() - begun < 60, "the notebook waited for the training"
view.tick()
view.picture()
