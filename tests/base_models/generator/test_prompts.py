from __future__ import annotations

import pytest

from compete.errors import UserError
from support.generators import CHECKPOINTS, Posts, decoded, prompt_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("checkpoint", "opening"), [("qwen2", "<|im_start|>user"), ("llama_instruct", "user")])
def test_the_chat_template_is_used_where_the_checkpoint_has_one(posts: Posts, checkpoint: str, opening: str) -> None:
    for chat in (None, True):
        prompt = prompt_of(posts, checkpoint, chat=chat)
        assert opening in decoded(prompt, prompt.before)
        assert "assistant" in decoded(prompt, prompt.after)
    plain = prompt_of(posts, checkpoint, chat=False, prompt="Text: {text}\nAnswers: ")
    tokens = plain.encode(["sunny"], spare=1)[0]
    start = "<|begin_of_text|>" if checkpoint == "llama_instruct" else ""
    assert decoded(plain, tokens) == f"{start}Text: sunny\nAnswers: "


def test_the_system_message_opens_the_chat(posts: Posts) -> None:
    prompt = prompt_of(posts, "qwen2_instruct", system="Be brief.")
    assert decoded(prompt, prompt.before).startswith("<|im_start|>system\nBe brief.<|im_end|>")


@pytest.mark.parametrize("checkpoint", ["llama", "gemma2"])
def test_a_checkpoint_without_a_chat_template_reads_the_prompt_as_it_is(posts: Posts, checkpoint: str) -> None:
    prompt = prompt_of(posts, checkpoint, prompt="Text: {text}\n")
    start = prompt.tokenizer.bos_token
    assert decoded(prompt, prompt.encode(["sunny"], spare=1)[0]) == f"{start}Text: sunny\n"
    with pytest.raises(UserError, match=rf"chat = true: miniature:{checkpoint} has no chat template"):
        prompt_of(posts, checkpoint, chat=True)


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("chat", [None, False])
def test_a_text_begins_once(posts: Posts, checkpoint: str, chat: bool | None) -> None:
    prompt = prompt_of(posts, checkpoint, chat=chat)
    start = prompt.tokenizer.bos_token_id
    ids = prompt.encode(["sunny"], spare=1)[0]
    assert ids.count(start) == (0 if start is None else 1)
    assert start is None or ids[0] == start
