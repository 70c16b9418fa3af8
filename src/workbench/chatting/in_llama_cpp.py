"""Answers by llama.cpp, which multiplies the packed weights themselves.

It runs in this process, behind a port of this machine's loopback address that only this program is told.
Adapters are written as GGUF files into a temporary folder; their weights may change with each answer.
"""

import http.client
import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import torch

from workbench.adapters.formats import save_adapter
from workbench.adapters.stack import WeightedAdapter
from workbench.chatting.sampling import Sampling
from workbench.errors import InputError
from workbench.models.base import Base


def why_not(base: Base, adapters: Sequence[WeightedAdapter]) -> str:
    """Return why llama.cpp can't take these files, or an empty text where it can."""
    if base.path.suffix != ".gguf":
        return f"it reads GGUF files, and {base.name} is none (`workbench export-model` writes one)"
    if base.tokenizer.name == "character":
        return f"it doesn't know the tokenizer of {base.name}"
    for one in adapters:
        if one.adapter.dora:
            return f"it can't add DoRA, which {one.adapter.name} is"
    return ""


class LlamaCppWriter:
    """Writes with llama.cpp on the base's own file."""

    name = "llama.cpp"

    def __init__(self, base: Base, adapters: Sequence[WeightedAdapter]) -> None:
        import xllamacpp

        self.folder = tempfile.TemporaryDirectory(prefix="workbench-chat-")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(base.path)
        parameters.warmup = False
        parameters.verbosity = -1
        parameters.n_ctx = base.decoder.config.context
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = torch.get_num_threads()
        files = []
        for place, one in enumerate(adapters):
            path = Path(self.folder.name) / f"{place}.gguf"
            save_adapter(one.adapter, path, "gguf", base=base)
            info = xllamacpp.CommonAdapterLoraInfo()
            info.path, info.scale = str(path), 0.0
            files.append(info)
        parameters.lora_adapters = files
        self.server = xllamacpp.Server(parameters)
        self.address = urlsplit(self.server.listening_address)

    def write(
        self,
        prompt: Sequence[int],
        weights: Sequence[float | int],
        sampling: Sampling,
        stops: Collection[int],
    ) -> Iterator[int]:
        """Continue a prompt, token by token, up to a stop or the limit; stops are not given out.

        Raises:
            InputError: If llama.cpp refuses, in its own words.
        """
        asked = {
            "prompt": list(prompt),
            "n_predict": sampling.limit,
            "temperature": sampling.temperature if sampling.temperature > 0 else -1,
            "seed": sampling.seed,
            # plain draws from the distribution, as ours are
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "samplers": ["temperature"],
            "lora": [{"id": place, "scale": weight} for place, weight in enumerate(weights)],
            "stream": True,
            "return_tokens": True,
            "cache_prompt": True,
        }
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port)
        try:
            connection.request("POST", "/completion", json.dumps(asked), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise InputError(f"llama.cpp refused the conversation: {answer.read().decode()[:300]}")
            for line in answer:
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    for token in told.get("tokens", ()):
                        if token in stops:
                            return
                        yield token
                    if told.get("stop"):
                        return
        finally:
            connection.close()  # llama.cpp ends an answer that nobody reads

    def close(self) -> None:
        """End the server and remove the adapters' files."""
        del self.server
        self.folder.cleanup()
