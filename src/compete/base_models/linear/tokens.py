"""Words of a post: what the n-grams and the feed-forward net's vocabulary are made of."""

from __future__ import annotations

import html
import re

# Order matters: a hashtag or an emoticon is one token, not punctuation beside a word.
TOKEN = re.compile(
    r"https?://\S+|[@#]\w+"  # links, mentions, hashtags
    r"|[:;=8x][-o']?[()\[\]dp/\\|3*]+(?!\w)|<3"  # emoticons
    r"|\w+(?:'\w+)*"  # words, "don't" in one piece
    r"|[!?]|\.{2,}|[^\w\s.,]"  # punctuation that carries feeling; every emoji by itself
)


def normalise(text: str) -> str:
    """Lower case; HTML entities and escaped line breaks undone, users' names hidden, "soooo" shortened."""
    text = html.unescape(text).replace("\\n", " ").replace("’", "'")
    text = re.sub(r"@\w+", "@user", text)
    return re.sub(r"(\w)\1{2,}", r"\1\1", text).lower()


def tokenise(text: str) -> list[str]:
    """Words, emoticons and single emoji of one text; a hashtag gives itself and its word."""
    tokens: list[str] = []
    for token in TOKEN.findall(normalise(text)):
        tokens.append(token)
        if token.startswith("#") and len(token) > 1:
            tokens.append(token[1:])
    return tokens
