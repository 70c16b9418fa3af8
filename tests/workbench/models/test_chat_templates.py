"""Chat templates say what they say to transformers: those of the families, and whatever a program may do."""

import json
from datetime import date, datetime

import pytest
from family_tokenizers import write_family
from follows import follows
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.models.chat import FAILURES, render_chat
from workbench.models.folder_tokenizer import read_tokenizer

transformers = pytest.importorskip("transformers")
utils = pytest.importorskip("transformers.utils.chat_template_utils")

CONVERSATIONS = [
    [{"role": "user", "content": " Hi <b> & é '\"\n"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}],
    [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "<think>\nwell\n</think>\n\nb "},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ],
]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}

# ruff: noqa: E501 - programs of others
# the constructs of the families' published templates, each in a short program
FEATURES = {
    "llama 3.2": "{{- bos_token }}{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}"
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}'
    "{%- endif %}{%- endif %}{%- if not tools is defined %}{%- set tools = none %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    '{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}'
    '{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}'
    '{{- "Today Date: " + date_string + "\\n\\n" }}{{- system_message }}{{- "<|eot_id|>" }}'
    "{%- for message in messages %}{%- if not (message.role == 'ipython' or message.role == 'tool' "
    "or 'tool_calls' in message) %}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{%- elif 'tool_calls' in message %}"
    '{%- if not message.tool_calls|length == 1 %}{{- raise_exception("one tool call at once") }}{%- endif %}'
    "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
    "qwen 3": '{%- if tools %}{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{%- endif %}'
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}"
    "{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}"
    '{%- if ns.multi_step_tool and message.role == "user" and message.content is string and not('
    "message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}"
    "{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}"
    "{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}"
    "{%- else %}{%- set content = '' %}{%- endif %}{%- if message.role == 'assistant' %}"
    "{%- set reasoning_content = '' %}{%- if message.reasoning_content is string %}"
    "{%- set reasoning_content = message.reasoning_content %}{%- else %}{%- if '</think>' in content %}"
    "{%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}{%- endif %}"
    "{%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}"
    "{{- '<|im_start|>assistant\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content }}"
    "{%- else %}{{- '<|im_start|>' + message.role + '\\n' + content }}{%- endif %}{%- else %}"
    "{{- '<|im_start|>' + message.role + '\\n' + content }}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is defined and "
    "enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}",
    "gemma 3": "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}"
    "{%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}"
    "{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = '' -%}"
    "{%- set loop_messages = messages -%}{%- endif -%}{%- for message in loop_messages -%}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif -%}"
    "{%- if (message['role'] == 'assistant') -%}{%- set role = 'model' -%}{%- else -%}"
    "{%- set role = message['role'] -%}{%- endif -%}"
    "{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else '') }}"
    "{%- if message['content'] is string -%}{{ message['content'] | trim }}"
    "{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}"
    "{%- if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}"
    "{%- else -%}{{ raise_exception('Invalid content type') }}{%- endif -%}{{ '<end_of_turn>\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}",
    "mistral": "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}"
    "{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}"
    "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}"
    "{%- set user_messages = loop_messages | selectattr('role', 'equalto', 'user') | list %}{{- bos_token }}"
    "{%- for message in loop_messages %}{%- if message['role'] == 'user' %}"
    "{%- if tools is not none and (message == user_messages[-1]) %}{{- '[AVAILABLE_TOOLS] [' }}{%- endif %}"
    "{%- if loop.last and system_message is defined %}"
    "{{- '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' }}{%- else %}"
    "{{- '[INST] ' + message['content'] + '[/INST]' }}{%- endif %}"
    "{%- elif message['role'] == 'assistant' %}{{- ' ' + message['content']|trim + eos_token}}{%- else %}"
    "{{- raise_exception('Only user and assistant roles are supported') }}{%- endif %}{%- endfor %}",
    "smollm 3": "{%- set ns = namespace(found=false) -%}{%- macro turn(m) -%}<|im_start|>{{ m.role }}\n"
    "{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>\n{%- endmacro -%}"
    "{%- for m in messages -%}{%- if m.role == 'tool' -%}{%- continue -%}{%- endif -%}"
    "{%- if ns.found and m.role == 'system' -%}{%- break -%}{%- endif -%}{{ turn(m) }}"
    "{%- set ns.found = true -%}{%- endfor -%}"
    "{{ strftime_now('%d %B %Y') }} {{ documents is none }} {{ messages | tojson(indent=2) }}",
    "granite": "{%- for m in messages %}{{ m | tojson(ensure_ascii=True, sort_keys=true) }}"
    "{{ m.content | replace('a', 'b') | upper | default('x') | length }}{{ loop.previtem is defined }}"
    "{{ m.items() | list | length }}{{ dict(a=1) | tojson }}{% endfor %}{{ [1, 2] | map('string') | join(', ') }}"
    "{{ tools is none }}{{ available_tools is defined }}{{ {'b': 1, 'a': [none, true, 1.5]} | tojson }}",
}


def theirs(template, messages, prompt):
    return utils.render_jinja_template(
        conversations=[messages], chat_template=template, add_generation_prompt=prompt, **TOKENS
    )[0][0]


@pytest.fixture(autouse=True)
def at_a_day(monkeypatch):
    class Day(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2024, 2, 29)

    monkeypatch.setattr(utils, "datetime", Day)


@pytest.mark.parametrize("family", FEATURES)
@pytest.mark.parametrize("prompt", [False, True])
def test_the_families_templates_are_written_as_transformers_writes_them(family, prompt):
    for messages in CONVERSATIONS:
        expected = theirs(FEATURES[family], messages, prompt)
        found = render_chat(
            FEATURES[family],
            messages,
            tokens=TOKENS,
            add_generation_prompt=prompt,
            day=date(2024, 2, 29),
        )
        assert found == expected
        assert found


def test_a_template_that_refuses_says_why():
    alternating = [CONVERSATIONS[0][0], CONVERSATIONS[0][0]]
    with pytest.raises(InputError, match=r"roles \['user', 'user'\]: Conversation roles must alternate"):
        render_chat(FEATURES["gemma 3"], alternating)


PROGRAMS = st.lists(
    st.sampled_from(
        [
            *(
                "{{ messages }}",
                "{{ messages[0].content }}",
                "{{ x }}",
                "{{ x.y }}",
                "{{ 'a' * 3 }}",
                "{{ 1 / 0 }}",
            ),
            *(
                "{% for m in messages %}",
                "{% endfor %}",
                "{% if tools %}",
                "{% else %}",
                "{% endif %}",
                "\n",
                "  ",
            ),
            *(
                "{% set x = namespace(a=1) %}",
                "{% set x.a = messages %}",
                "{{ x.a | tojson }}",
                "{% break %}",
            ),
            *("{% continue %}", "{% generation %}", "{% endgeneration %}", "{{ raise_exception('no') }}"),
            *("{{ '{5}'.format(1) }}", "{{ ''.__class__ }}", "{{ messages.clear() }}", "{{ (1).real }}"),
            *(
                "{{ range(10) | list }}",
                "{{ messages | first }}",
                "{{ 'a'.split()[3] }}",
                "{%- macro f(a) -%}",
            ),
            *(
                "{%- endmacro -%}",
                "{{ f(1) }}",
                "{{ f() }}",
                "{{ self }}",
                "{{ joiner() }}",
                "{{ [] | max }}",
            ),
            *("{% include 'a' %}", "{{ 'é' | tojson }}", "{# #}", "{{ 'a' | format }}", "{{ '%q' % 1 }}"),
            *(
                "{{ bos_token | int }}",
                "{{ 2 ** 3 }}",
                "{{ {} [1] }}",
                "{{ lipsum }}",
                "{{ cycler }}",
                "{{ dict() }}",
            ),
        ]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(PROGRAMS)
def test_a_program_is_written_as_by_transformers_or_refused(program):
    messages = CONVERSATIONS[1]
    try:
        found = render_chat(program, messages, tokens=TOKENS, add_generation_prompt=True)
    except InputError:
        with pytest.raises(FAILURES):
            theirs(program, messages, True)
        return
    if " at 0x" not in found and "lipsum" not in program:
        assert found == theirs(program, messages, True)


@pytest.mark.parametrize(
    "template",
    [
        "{{ '{5}'.format(1) }}",
        "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 300 + ")" * 300 + " }}",
        "{{ 'a' * 10 ** 18 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ messages | sum }}",
    ],
)
def test_a_failing_program_is_refused_in_a_sentence(template):
    with pytest.raises(InputError, match=r"chat template failed on messages with the roles \['user'\]"):
        render_chat(template, CONVERSATIONS[0])


NAMED = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tokenizer_config.json": {"chat_template": "A"}}, "A"),
        ({"tokenizer_config.json": {"chat_template": NAMED}}, "D"),
        ({"tokenizer_config.json": {"chat_template": "A"}, "chat_template.jinja": "J"}, "J"),
        ({"tokenizer_config.json": {"chat_template": NAMED}, "chat_template.jinja": "J"}, "J"),
        ({"chat_template.jinja": "J", "additional_chat_templates/tool_use.jinja": "T"}, "J"),
        ({"tokenizer_config.json": {}}, None),
    ],
)
def test_the_template_is_the_one_that_transformers_takes(tmp_path, files, expected):
    folder = tmp_path / "base"
    size = write_family(folder, "llama 3")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(json.loads((folder / name).read_text()) | content)
        (folder / name).write_text(content)
    ours, notes = read_tokenizer(folder, size, {})
    assert (ours.chat_template, notes) == (expected, ())
    if expected is not None:
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        assert theirs.get_chat_template() == expected


@follows("put the one to use into a file chat_template.jinja")
def test_several_templates_without_a_default_are_told(tmp_path):
    folder = tmp_path / "base"
    size = write_family(folder, "llama 3")
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": [NAMED[1]]}))
    ours, notes = read_tokenizer(folder, size, {})
    assert ours.chat_template is None
    assert notes == (
        "tokenizer_config.json has several chat templates ('tool_use') and none called 'default': put the "
        "one to use into a file chat_template.jinja beside it",
    )
    # as the note says
    (folder / "chat_template.jinja").write_text("J")
    ours, notes = read_tokenizer(folder, size, {})
    assert (ours.chat_template, notes) == ("J", ())


@pytest.mark.parametrize("odd", [5, [5], [{"name": "default"}], {"default": 3}])
def test_a_template_that_is_no_text_is_named(tmp_path, odd):
    folder = tmp_path / "base"
    size = write_family(folder, "llama 3")
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": odd}))
    with pytest.raises(InputError, match=r"tokenizer_config\.json: chat_template is .*chat_template\.jinja"):
        read_tokenizer(folder, size, {})
