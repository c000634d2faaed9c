"""Fetch a competition's files from Kaggle, and fill in [data]."""

from __future__ import annotations

from compete.competition.declaration import read_declaration
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.submissions.kaggle.client import KaggleClient
from compete.submissions.kaggle.download import Downloaded, fetch
from compete.workflows.session import Say, exclusively, silent


def download(workspace: Workspace, *, say: Say = silent) -> Downloaded:
    """What somebody edited since an earlier download is left as it is."""
    declaration = read_declaration(workspace)
    slug = declaration.submission.kaggle
    if slug is None:
        raise UserError('[submission] names no competition: kaggle = "SLUG", the last part of its address on Kaggle')
    with exclusively(workspace, say), KaggleClient(slug) as client:
        return fetch(workspace, declaration, client)
