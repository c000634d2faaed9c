"""compete download"""

from __future__ import annotations


def command() -> None:
    """Download the competition's files from Kaggle and fill in [data]."""
    from compete.cli.opening import console, here, say, tell
    from compete.competition.starter import missing_columns, said
    from compete.workflows.download import download

    workspace = here()
    with console().status("downloading"):
        found = download(workspace, say=say)
    for path in found.files:
        tell(f"{workspace.shown(path)}: {path.stat().st_size:,} bytes")
    for path, beside in found.kept.items():
        tell(f"{workspace.shown(path)} is not as it was downloaded: kept, Kaggle's lies in {workspace.shown(beside)}")
    if found.found is None:
        tell("competition.toml stays as it is: the files that [data] names are there")
        return
    missing = missing_columns(found.found)
    if missing:
        tell(f"still to fill in, under [data]: {', '.join(missing)}")
    for line in said(found.found):
        tell(line)
