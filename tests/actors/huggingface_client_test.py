"""Hugging Face's `huggingface_hub` client against a running gateway: a client with its own reader of event streams.

usage: huggingface_client_test.py http://HOST:PORT STRATEGY
"""

import sys

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

MESSAGES = [{"role": "user", "content": "hello"}]


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def main():
    model = "virga/" + sys.argv[2]
    client = InferenceClient(base_url=sys.argv[1].rstrip("/") + "/v1", api_key="none", timeout=60)
    options = {"model": model, "max_tokens": 16, "temperature": 0}
    answer = client.chat_completion(MESSAGES, logprobs=True, top_logprobs=2, **options)
    text = answer.choices[0].message.content
    check(answer.model == model and text, "a chat is answered")
    check(len(answer.choices[0].logprobs.content) == answer.usage.completion_tokens, "with log-probabilities")
    streamed, usage = "", None
    for chunk in client.chat_completion(MESSAGES, stream=True, stream_options={"include_usage": True}, **options):
        streamed += "".join(c.delta.content or "" for c in chunk.choices)
        usage = chunk.usage or usage
    check(streamed == text, f"streamed {streamed!r} is the same as {text!r}")
    check(usage.completion_tokens == answer.usage.completion_tokens, "and so is the usage")
    try:
        client.chat_completion(MESSAGES, model="no-such-model")
        check(False, "an unknown model is refused")
    except HfHubHTTPError as e:
        check(e.response.status_code == 404 and model in e.response.text, f"the refusal names what is served: {e}")
    print("OK", model, repr(text))


main()
