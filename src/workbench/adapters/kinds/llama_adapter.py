"""LLaMA-Adapter: trained tokens that the tokens of a block look at, through a gate that begins closed.

Two forms are in use. The paper's has a gate in each head, through tanh, as its repository computes it; that
of PEFT, which it calls an adaption prompt, has one number a block. Both leave the base as it is at the start,
bit for bit.
"""

import torch

from workbench.adapters.kinds.kind import AdapterKind

SOURCE = 'Zhang et al., "LLaMA-Adapter", arXiv:2303.16199'

LLAMA_ADAPTER = AdapterKind(
    about="trained tokens before each block's keys and values, a tanh gate in each head; rank counts them",
    source=SOURCE,
    prefix=True,
    gate=torch.tanh,
    gate_of_each_head=True,
)
ADAPTION_PROMPT = AdapterKind(
    about="the same with one plain gate a block, as PEFT has it",
    source=SOURCE,
    prefix=True,
)
