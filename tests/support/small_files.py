"""A competition of three training and two test rows, as its files are written."""

from __future__ import annotations

from collections.abc import Callable

from compete.competition.data import Competition

DECLARATION = """\
name = "tiny"

[data]
train = "train.csv"
test = "test.csv"
sample_submission = "sample.csv"
id = "id"
text = "text"
"""

TRAIN = "id,joy,text,anger\n01,1,happy,0\n02,0,furious,1\n03,0,NA,0\n"
TEST = "id,text\n11,sunny\n12,rotten\n"
SAMPLE = "id,joy,anger\n12,0,0\n11,0,0\n"

Load = Callable[..., Competition]
