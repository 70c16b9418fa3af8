"""Chat templates: a list of messages to the text that a chat model was trained on.

A template comes with the model and is somebody else's program, so it runs in Jinja's immutable sandbox,
with the same additions that ``transformers`` makes and nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.errors import InputError

Message = Mapping[str, Any]
"""A message: at least "role" ("system", "user", "assistant") and "content"."""


def render_chat(
    template: str,
    messages: Sequence[Message],
    *,
    bos_token: str = "",
    eos_token: str = "",
    add_generation_prompt: bool = False,
) -> str:
    """Write ``messages`` as the model expects them, special tokens included.

    Args:
        template: The model's Jinja template.
        messages: The conversation, oldest first.
        bos_token: Text of the token that begins a text, for templates that ask for it.
        eos_token: Text of the token that ends one.
        add_generation_prompt: End with the opening of the assistant's next message.

    Raises:
        InputError: If the template can't be read, or refuses these messages.
    """
    try:
        return _compile(template).render(
            messages=messages,
            bos_token=bos_token,
            eos_token=eos_token,
            add_generation_prompt=add_generation_prompt,
        )
    # a template can fail the way any program can: a missing key, an addition of a number to a text
    except (TemplateError, TypeError, ValueError, KeyError, ArithmeticError, RecursionError) as error:
        roles = [message.get("role") for message in messages]
        raise InputError(
            f"the model's chat template failed on messages with the roles {roles}: {error}. Check that each "
            "message has 'role' and 'content', or use a template without a chat format, such as 'plain'."
        ) from error


@lru_cache(maxsize=32)
def _compile(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(template)


def _to_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - whatever a template holds
    # Jinja's own filter escapes <, > and & for web pages; a model reads them as they are
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
