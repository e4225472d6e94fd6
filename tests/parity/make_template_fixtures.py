#!/usr/bin/env python3
"""Writes tests/parity/fixtures/templates.json: chat templates, conversations, and the text that transformers renders, or
null where it raises an error. The templates of fixtures/families are among them, larger ones written as those of Llama 3.1,
Mistral, Qwen2.5 and Qwen3 are, and one line for each thing that such templates use.

Made with transformers 5.23.0, jinja2 3.1. Run: python make_template_fixtures.py
"""
import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

import make_family_fixtures as families

OUT = pathlib.Path(__file__).parent / "fixtures/templates.json"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The \"weather\" <now>, naïve 雨", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1.0}}, "required": ["city"]}}}]

HELLO = [{"role": "user", "content": "Hello <|im_end|>\n"}]
SYSTEM = [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "  What's rain?  "}]
LONG = SYSTEM + [{"role": "assistant", "content": "<think>\nhm\n</think>\n\nWater."}, {"role": "user", "content": "Où? 雨 🙂"},
                 {"role": "assistant", "content": "Da."}, {"role": "user", "content": "x"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]}]
CALLS = HELLO + [{"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {
    "name": "weather", "arguments": {"city": "Oslo", "n": [1, 2.5, None, True]}}}]},
    {"role": "tool", "tool_call_id": "abcdefghi", "content": "rain"}, {"role": "tool", "content": "sun"}]
WRONG = [{"role": "assistant", "content": "I begin."}, {"role": "user", "content": "No."}]
THOUGHT = HELLO + [{"role": "assistant", "reasoning": "Hm.", "content": "Da."}]
CHATS = [HELLO, SYSTEM, LONG, PARTS, CALLS, WRONG, THOUGHT]

LLAMA = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system message, when there is one. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n"}}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Cannot put tools in the first user message when there's no first user message!") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\n\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' ~ arg_val ~ '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
MISTRAL = r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""
QWEN = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nYou may call one or more functions.\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nReturn {\"name\": <function-name>, \"arguments\": <args-json-object>}<|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA2 = r"""{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% elif USE_DEFAULT_PROMPT == true and not '<<SYS>>' in messages[0]['content'] %}{% set loop_messages = messages %}{% set system_message = 'DEFAULT' %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'system' %}{{ '<<SYS>>\n' + content.strip() + '\n<</SYS>>\n\n' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
PARTWISE = r"""{%- macro content_of(content, sep="|") -%}
{%- if content is string -%}{{ content }}
{%- else -%}
{%- for item in content -%}
{%- if 'text' in item -%}{{ item.text }}{%- elif item.type == 'image' -%}<image>{%- endif -%}{{ sep if not loop.last }}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{% for m in messages %}
{% if loop.first %}{{ "first" }}{% endif %}
  {{ m.role | upper }}: {{ content_of(m.content) }}
  {% generation %}{{ m.content | string | length }}{% endgeneration %}

{% else %}none{% endfor %}
"""

# One line for each construct. With HELLO unless another conversation stands beside it.
LINES = [
    "a\n{% if true %}\n  b\n{% endif %}\nc\n", "a  {%- if true -%}  b  {%- endif -%}  c", "  {% if true %}x{% endif %}\n\ny", "{{ 'a' }}\n{{ 'b' }}\n\n",
    "x {# note #} y\n{# line #}\nz {#- tight -#}  w", "{% raw %}{{ not run }}{% endraw %}\nx", "  {%+ if true %}x{%+ endif %}", "a\r\nb\rc{{ '\r\n' }}d",
    "{{ '\\n\\t\\\\\\'\\x41\\u00e9' }}", "{{ \"it's\" }} {{ 'a' 'b' }}", "{{ 1 + 2 * 3 - 4 // 3 % 2 }} {{ 2 ** 3 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 1e3 }} {{ 1_000 }} {{ 1.50 }}",
    "{{ 1 if false }}|{{ 1 if false else 2 }}|{{ 'a' ~ 1 ~ none ~ true ~ 1.0 }}", "{{ [1, 'a', none, true, 2.5, {'k': 'v'}, (1,), (1, 2), []] }}", "{{ 'it\\'s' | list }}",
    "{{ 1 < 2 <= 2 != 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1,2] == [1,2] }} {{ not true or false and true }}", "{{ 3 in [1,3] }} {{ 'el' in 'hello' }} {{ 'k' in {'k': 1} }} {{ 3 not in [1] }}",
    "{{ undefined_thing }}|{{ undefined_thing is defined }}|{{ undefined_thing | default('d') }}|{{ '' | default('e', true) }}|{{ undefined_thing | length }}",
    "{{ undefined_thing.x }}", "{{ undefined_thing + 'a' }}", "{{ messages[0].nothing }}|{{ messages[0]['nothing'] }}|{{ messages[7] }}|", "{{ none.x }}|{{ 'abc'.x }}|{{ 'abc'[9] }}",
    "{{ messages[0].nothing.more }}", "{{ 'a' + 1 }}", "{{ 1 / 0 }}", "{{ none + none }}", "{{ undefined_function() }}", "{{ 1 < 'a' }}", "{{ 'abc' | int }}|{{ ' 12 ' | int }}|{{ 3.9 | int }}|{{ 'x' | int(7) }}|{{ '2.5' | float }}|{{ 3 | float }}",
    "{{ 'héllo 雨🙂'[1:] }}|{{ 'héllo'[::-1] }}|{{ '雨🙂x'[1] }}|{{ '雨🙂x'[-1] }}|{{ 'abcdef'[::2] }}|{{ 'abcdef'[4:1:-1] }}|{{ 'abc'[5:] }}|{{ 'abc'[-9:2] }}", "{{ [1,2,3,4][1:3] }} {{ [1,2,3][::-1] }} {{ [1,2,3][-2:] }} {{ (1,2,3)[:2] }}",
    "{{ '  x y  ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ ' a '.strip() }}|{{ 'xax'.lstrip('x') }}|{{ 'xax'.rstrip('x') }}|{{ '\\u3000a\\u00a0'.strip() }}", "{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a b c '.split(none, 1) }} {{ 'a\\nb\\r\\nc\\n'.splitlines() }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x','a')) }} {{ 'abc'.endswith('bc') }} {{ 'abc'.find('c') }} {{ 'abc'.find('x') }} {{ 'é雨x'.find('x') }} {{ 'aXa'.count('a') }} {{ 'abcb'.rfind('b') }}",
    "{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'aXbX' | replace('X', '') }} {{ 'ab'.replace('', '.') }}", "{{ 'hELLO wORLD é ß' | upper }} {{ 'ÀB' | lower }} {{ \"they're HERE, ok\" | title }} {{ 'hELLO' | capitalize }} {{ 'hello wORLD'.title() }} {{ 'x'.upper() }} {{ 'hELLO'.capitalize() }}",
    "{{ 'a-b'.join(['1','2']) }} {{ ['a', 1, none] | join(', ') }} {{ messages | join('/', attribute='role') }}", "{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ '12'.isdigit() }} {{ ''.isdigit() }} {{ 'ab'.isalpha() }} {{ ' '.isspace() }}",
    "{{ {'b': 1, 'a': [1, 2.0, 1e20, 1e-7, 0.1]} | tojson }}", "{{ {'b': {'c': []}, 'a': [1, {'x': none}], 'e': {}} | tojson(indent=2) }}", "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ 'é<>&\\'\\n\\u0001' | tojson }} {{ 'é🙂' | tojson(ensure_ascii=true) }} {{ [1,2] | tojson(separators=(',', ':')) }} {{ {1: 2, true: 3} | tojson }}",
    "{{ [3,1,2] | sort }} {{ ['b','A','c'] | sort }} {{ [1,2,3] | sort(reverse=true) }} {{ {'b':1,'a':2} | dictsort }} {{ [1,1,2] | unique | list }} {{ ['a','A'] | unique | list }} {{ [1,2,3] | sum }} {{ [3,1] | min }} {{ [3,1] | max }} {{ messages | sort(attribute='role') | length }}",
    "{{ [1,2,3] | first }} {{ [1,2,3] | last }} {{ [1,2] | reverse | list }} {{ 'abc' | reverse }} {{ [] | first }} {{ 'ab' | list }} {{ {'a':1}|list }} {{ (1,2) | list }}", "{{ messages | map(attribute='role') | list }} {{ ['a','b'] | map('upper') | join }} {{ [{'a':1},{}] | map(attribute='a', default=0) | list }} {{ [1.25, 2.75] | map('round', 1) | list }}",
    "{{ [1,2,3,4] | select('odd') | list }} {{ [1,2,3] | reject('equalto', 2) | list }} {{ [0,1] | select | list }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | rejectattr('content') | list }} {{ messages | selectattr('role', 'in', ['user']) | map(attribute='role') | first }}",
    "{{ 3.567 | round(1) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ -3 | abs }} {{ -2.5 | abs }} {{ 42 | string + 'x' }}", "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\n\\nb' | indent(1, blank=true) }}", "{{ '<a href=\"x\">&\\'' | escape }} {{ '<b>' | e }} {{ '<b>' | safe }}",
    "{{ {'a': 1, 'b': 2}.items() | list }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.values() | list }} {{ {'a': 1}.get('a') }} {{ {'a': 1}.get('z') }} {{ {'a': 1}.get('z', 9) }} {{ {'a': 1} | items | list }}", "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for i in range(3) %}{{ i }}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}", "{% for i in range(2, 10, 3) %}{{ loop.cycle('a', 'b') }}{{ i }}{{ loop.previtem }}{{ loop.nextitem }},{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}|{% for i in none %}x{% endfor %}", "{% for i in [1,2,3,4] if i is even %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% else %}no{% endfor %}", "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for (a, b), c in [((1,2),3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for i in 'añ' %}{{ i }},{% endfor %}{% for i in undefined_thing %}x{% endfor %}", "{% for i in [1,1,2] %}{{ loop.changed(i) }}{% for j in [1] %}{{ loop.depth }}{% endfor %}{% endfor %}", "{% for a, b in [(1,2,3)] %}{% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{% if true %}{% set y = 5 %}{% endif %}{{ y }}", "{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}", "{% set x %}in {{ 1 }}\n{% endset %}[{{ x }}]{% set y | upper | trim %} abc {% endset %}[{{ y }}]",
    "{% set d = {'a': 1} %}{% set d.b = 2 %}", "{% macro m(a, b='B', c=a) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}", "{% set v = 1 %}{% macro m() %}{{ v }}{{ w }}{% endmacro %}{% set w = 2 %}{{ m() }}{% for v in [7] %}{{ m() }}{% endfor %}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% filter upper %}abc {{ 'd' }}{% endfilter %}", "{% if messages is iterable and messages is not mapping and messages[0] is mapping and 'a' is string and 1 is number and 1 is integer and 1.5 is float and none is none and true is true and false is false and true is boolean %}yes{% endif %}",
    "{{ 4 is divisibleby 2 }} {{ 4 is divisibleby(3) }} {{ 'a' is lower }} {{ 'A' is upper }} {{ 1 is sameas 1 }} {{ [] is sequence }} {{ 3 is odd }} {{ 1 is eq 1 }} {{ 1 is in [1] }} {{ x is undefined }} {{ range is callable }} {{ 2 is gt 1 }} {{ 1 is not defined }} {{ undefined_thing is not none }}",
    "{{ raise_exception('No \"good\" é') }}", "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}|{{ tools }}{{ documents }}{{ add_generation_prompt }}", "{{ messages | length }}{{ messages[0]['role'] }}{{ messages[-1].content }}", "{{ messages }}", "{{ [messages[0].content] }} {{ messages[0].content | tojson }}",
    "{{ dict(a=1, b='x') }} {{ namespace(a=1).a }} {{ {'a': 1, 'a': 2} }} {{ {'k': 1}['k'] }} {{ {'k': 1}.k }} {{ [[1]][0][0] }}", "{{ 'a' * 3 }} {{ [1] * 2 }} {{ [1] + [2] }} {{ 2 * 'ab' }}", "{{ ('a' if true else 'b') ~ 'c' }} {{ 'x' if 1 else 'y' if 1 else 'z' }} {{ not 1 == 2 }} {{ -1 | abs }} {{ 'a' in ['a'] and 'b' }} {{ 0 or 'x' }} {{ '' or none }}",
    "{{ true }} {{ True }} {{ none }} {{ None }} {{ false }} {{ 10000000000 * 10000 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e-5 }} {{ 123456789.0 }} {{ 1.0 }} {{ 3 // 2.0 }}", "{{- '' -}}   {{ ' a ' -}}   b", "{{ 'a{{b}}' }} {{ {'a': {'b': 1}} }} {{ {'a': {'b': 1}}['a']['b'] }}", "{{ messages[0].content.split('\\n') | length }} {{ messages[0].content[0] }} {{ messages[0].content | replace('H', 'J') | upper }}",
    "{% if 0 %}a{% elif '' %}b{% elif [] %}c{% else %}d{% endif %}", "{% for message in messages %}{{ message.role }}: {{ message['content'] }}{% if not loop.last %}\n{% endif %}{% endfor %}", "{{ 'a' is string is true }}", "{{ ('a', 'b') }} {{ () }}", "{{ 1, 2 }}", "{{ [1, 2,] }} {{ {'a': 1,} }}", "{% set x = none %}{{ x is none }}{{ x }}",
    "{{ '%s' | string }} {{ 5 % 3 }} {{ 5.5 % 2 }} {{ -5.5 // 2 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }}", "{{ 'ǆ' | title }} {{ 'ŉ' | length }} {{ 'İ' | lower | length }}", "{{ strftime_now('%Y') | length }}",
    "{{ '-'.join('abc') }} {{ 'abc' | join(',') }} {{ 'a' in 'abc' }} {{ 'abc' | map('upper') | list }} {{ 'cab' | sort | join }} {{ 'aab' | unique | join }} {{ 'cab' | max }} {{ 'cab' | select('eq', 'a') | list }} {{ {'b': 1, 'a': 2} | map('upper') | join }}",
    "{{ 'unclosed }}", "{{ (1 }}", "{% if true %}", "{% endfor %}", "{{ 1 | nofilter }}", "{{ 1 is notest }}", "{% include 'x' %}", "{{ }}", "{% for x %}{% endfor %}", "{{ a b }}", "{{ 'a' | }}", "{% unknown %}", "{{ [1 }}", "{{ 1 = 2 }}", "{% break %}", "{# open", "{% raw %} x", "{{ messages.append(1) }}",
]


def render(source, messages, add=True, **extra):
    try:
        messages = [{k: v for k, v in m.items() if v is not None} for m in messages]  # as apply_chat_template does
        texts, _ = render_jinja_template([messages], chat_template=source, add_generation_prompt=add, **{**SPECIAL, **extra})
        return texts[0]
    except Exception as e:  # whatever it is: the text is not rendered
        render.why = f"{type(e).__name__}: {e}"
        return None


def main():
    cases = []

    def add(source, messages, **extra):
        text = render(source, messages, **extra)
        cases.append({"source": source, "messages": messages, **({"extra": {k: v for k, v in extra.items() if k != "add"}} if extra else {}),
                      **({"add": False} if extra.get("add") is False else {}), "text": text})

    for source in (families.HEADERS, families.INST, families.CHATML, families.THINKING, LLAMA, MISTRAL, QWEN, LLAMA2, PARTWISE):
        for chat in CHATS:
            add(source, chat)
        add(source, SYSTEM, add=False)
    for source in (LLAMA, MISTRAL, QWEN):
        add(source, SYSTEM, tools=TOOLS)
        add(source, CALLS, tools=TOOLS)
    add(QWEN, LONG, enable_thinking=False)
    add(LLAMA, SYSTEM, date_string="1 Jan 2026", builtin_tools=["search", "code_interpreter"])
    for line in LINES:
        add(line, HELLO)
    for chat in (CALLS, THOUGHT):
        add("{{ messages }}", chat)
    failed = [c["source"] for c in cases if c["text"] is None]
    sources = sorted({c["source"] for c in cases})
    chats = [json.dumps(c) for c in CHATS]
    for c in cases:
        c["source"] = sources.index(c["source"])
        c["messages"] = chats.index(json.dumps(c["messages"]))
    out = {"special": SPECIAL, "sources": sources, "chats": CHATS, "cases": cases}
    OUT.write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(len(cases), "cases,", len(failed), "errors:")
    for f in failed:
        print("   ", repr(f)[:90])


if __name__ == "__main__":
    main()
