"""A workbench for one question: clean the data, or collect more of it.

Trains many cheap LoRA cells over quality x size x seed on one frozen, quantized base model, fits a
scaling law with intervals and answers with an exchange rate. Importing this package loads no Triton,
transformers or matplotlib.
"""

__version__ = "0.1.0"
