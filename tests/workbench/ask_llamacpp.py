"""llama.cpp on a file, asked over its local port: the outside oracle for GGUF."""

import json
import math
import urllib.request

import pytest
import torch

xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp isn't installed: pip install -e '.[test]'")


class Llama:
    """A server of one file, on one thread."""

    def __init__(self, path, context=512):
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.warmup = False
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = 1
        self.server = xllamacpp.Server(parameters)

    def post(self, where, **body):
        request = urllib.request.Request(
            self.server.listening_address + where,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def encode(self, text, bos=False):
        return self.post("/tokenize", content=text, parse_special=True, add_special=bos)["tokens"]

    def top(self, tokens, count):
        """The likeliest tokens after ``tokens`` with their log-probabilities, the likeliest first."""
        answer = self.post(
            "/completion",
            prompt=list(tokens),
            n_predict=1,
            n_probs=count,
            temperature=-1,
            cache_prompt=False,
        )
        found = answer["completion_probabilities"][0]["top_logprobs"]
        return {entry["id"]: entry["logprob"] for entry in found}

    def log_probabilities(self, tokens, vocabulary):
        """Of the token after ``tokens``; shape (vocabulary,)."""
        found = torch.full((vocabulary,), -math.inf)
        for token, value in self.top(tokens, vocabulary).items():
            found[token] = value
        return found
