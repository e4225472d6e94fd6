"""The stock `openai` package against a running gateway.

usage: openai_client_test.py http://HOST:PORT [STRATEGY [API_KEY]]

Asks the gateway's models, then chats and completes with one of them (the first one listed unless STRATEGY names another),
streamed and not, 32 at once, with log-probabilities and several choices, and checks that all ways give the same text, that
errors arrive as the package's own exceptions and that an abandoned stream ends. Prints OK at the end.
"""

import asyncio
import json
import sys
import time
import urllib.request

import openai

PROMPT = "hello"


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def models(client):
    names = [m.id for m in client.models.list()]
    check(names, "no model is served")
    check(all(n.startswith("virga/") for n in names), f"models are virga/<strategy>, not {names}")
    check(client.models.retrieve(names[0]).id == names[0], "a single model can be asked for")
    return names


def check_report(report, strategy):
    check(report["strategy"] == strategy, f"the virga object names {strategy}")
    check(report["places"], "the virga object names the nodes and layers used")
    for key in ("bytes_up", "bytes_down", "round_trips", "attempts", "tbt_ms", "request_id", "session"):
        check(key in report, f"the virga object has {key}")
    for key in ("total", "ttft", "compute", "link", "queue"):
        check(report["time_ms"][key] >= 0, f"the virga object has time_ms.{key}")


def chat(client, model, options):
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": PROMPT}], **options)
    choice = answer.choices[0]
    check(answer.object == "chat.completion" and answer.model == model, "a chat.completion of the model comes back")
    check(choice.message.role == "assistant", "the assistant answers")
    check(choice.finish_reason in ("stop", "length"), "the answer says why it ended")
    check(answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, "usage adds up")
    check(answer.usage.completion_tokens <= options["max_tokens"], "max_tokens holds")
    check_report(answer.virga, model.removeprefix("virga/"))
    return choice.message.content, answer.usage


def chat_streamed(client, model, options):
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": PROMPT}], stream=True,
                                            stream_options={"include_usage": True}, **options)
    text, finish, usage, report = "", None, None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
        report = getattr(chunk, "virga", report)
    check(finish in ("stop", "length"), "the stream says why it ended")
    check(usage is not None, "the stream ends with the usage that was asked for")
    check_report(report, model.removeprefix("virga/"))
    return text, usage


def complete(client, model, options):
    answer = client.completions.create(model=model, prompt=PROMPT, **options)
    check(answer.object == "text_completion", "a text_completion comes back")
    pieces = client.completions.create(model=model, prompt=PROMPT, stream=True, **options)
    streamed = "".join(c.text for p in pieces for c in p.choices)
    check(streamed == answer.choices[0].text, f"streamed {streamed!r} is the same as {answer.choices[0].text!r}")


def errors(client, model):
    messages = [{"role": "user", "content": PROMPT}]
    try:
        client.chat.completions.create(model="no-such-model", messages=messages)
        check(False, "an unknown model is refused")
    except openai.NotFoundError as e:
        check(e.code == "model_not_found" and model in e.message, f"the refusal names what is served: {e}")
    try:
        client.chat.completions.create(model=model, messages=messages, response_format={"type": "json_object"})
        check(False, "response_format is refused")
    except openai.BadRequestError as e:
        check(e.param == "response_format", f"the refusal names the field: {e}")


def logprobs(client, model, options):
    messages = [{"role": "user", "content": PROMPT}]
    answer = client.chat.completions.create(model=model, messages=messages, logprobs=True, top_logprobs=3, **options)
    content = answer.choices[0].logprobs.content
    check(len(content) == answer.usage.completion_tokens, "each token has its log-probability")
    for t in content:
        check(len(t.top_logprobs) == 3, "and its likeliest")
        check(t.logprob == max(o.logprob for o in t.top_logprobs) <= 0, "the greedy token is the likeliest")
    check(b"".join(bytes(t.bytes) for t in content).decode() == answer.choices[0].message.content,
          "the tokens' bytes are the text")
    stream = client.chat.completions.create(model=model, messages=messages, logprobs=True, top_logprobs=3, stream=True,
                                            **options)
    streamed = [t for chunk in stream for c in chunk.choices if c.logprobs for t in c.logprobs.content]
    check([t.token for t in streamed] == [t.token for t in content], "a stream tells the same tokens")
    completion = client.completions.create(model=model, prompt=PROMPT, logprobs=2, **options).choices[0]
    told = completion.logprobs
    check("".join(told.tokens) == completion.text, "a completion's tokens are its text")
    check(all(completion.text[at:].startswith(t) for at, t in zip(told.text_offset, told.tokens)), "at their offsets")


def choices(client, model):
    ask = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 16, "temperature": 1.5}
    answer = client.chat.completions.create(n=3, seed=5, **ask)
    texts = [c.message.content for c in answer.choices]
    check([c.index for c in answer.choices] == [0, 1, 2], "n choices come back in order")
    check(len(set(texts)) > 1, f"they are drawn apart: {texts}")
    alone = [client.chat.completions.create(seed=5 + i, **ask).choices[0].message.content for i in range(3)]
    check(alone == texts, f"choice i is the answer of seed + i: {alone} and {texts}")
    streamed = ["", "", ""]
    for chunk in client.chat.completions.create(n=3, seed=5, stream=True, **ask):
        for c in chunk.choices:
            streamed[c.index] += c.delta.content or ""
    check(streamed == texts, "and so is each of a stream")


def request_ids(client, model, options):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": PROMPT}], extra_headers={"X-Request-Id": "my-id"}, **options)
    check(raw.headers["x-request-id"] == "my-id", "the request id comes back")
    check(raw.parse().virga["request_id"] == "my-id", "the request id stands in the virga object")


async def ask_at_once(base_url, key, model, count):
    """Half of them streamed; each has its own length."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=60, max_retries=0) as client:
        async def ask(i):
            options = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1 + i,
                       "temperature": 0}
            if i % 2 == 0:
                return (await client.chat.completions.create(**options)).choices[0].message.content
            text = ""
            async for chunk in await client.chat.completions.create(stream=True, **options):
                text += chunk.choices[0].delta.content or ""
            return text

        return await asyncio.gather(*(ask(i) for i in range(count)))


def many_at_once(base_url, key, model):
    texts = asyncio.run(ask_at_once(base_url, key, model, 32))
    longest = max(texts, key=len)
    check(all(longest.startswith(t) for t in texts), f"32 at once each get their own answer: {texts}")
    check(len(texts[16]) > len(texts[0]), "of their own length")


def cancelled(client, base_url, key, model):
    """A stream that is left frees its place and its KV cache."""
    stream = client.chat.completions.create(model=model, messages=[{"role": "user", "content": PROMPT}], stream=True,
                                            max_tokens=60000, temperature=1)
    next(iter(stream))
    stream.close()
    request = urllib.request.Request(base_url.removesuffix("/v1") + "/status", headers={"Authorization": "Bearer " + key})
    for _ in range(50):
        status = json.load(urllib.request.urlopen(request, timeout=5))
        if status["gateway"]["answering"] == 0 and all(e["sequences"] == 0 for e in status["engines"]):
            return
        time.sleep(0.1)
    check(False, f"an abandoned stream is cancelled: {status}")


def main():
    key = sys.argv[3] if len(sys.argv) > 3 else "none"
    base_url = sys.argv[1].rstrip("/") + "/v1"
    client = openai.OpenAI(base_url=base_url, api_key=key, timeout=60)
    names = models(client)
    model = "virga/" + sys.argv[2] if len(sys.argv) > 2 else names[0]
    check(model in names, f"{model} is among {names}")
    options = {"max_tokens": 16, "temperature": 0}
    whole, usage = chat(client, model, options)
    streamed, streamed_usage = chat_streamed(client, model, options)
    check(streamed == whole, f"streamed {streamed!r} is the same as {whole!r}")
    check(streamed_usage == usage, "and so is the usage")
    complete(client, model, options)
    logprobs(client, model, options)
    choices(client, model)
    errors(client, model)
    request_ids(client, model, options)
    many_at_once(base_url, key, model)
    cancelled(client, base_url, key, model)
    print("OK", model, repr(whole))


main()
