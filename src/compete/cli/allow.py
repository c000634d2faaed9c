"""compete allow"""

from __future__ import annotations


def command() -> None:
    """Allow the metric of your own that competition.toml names, as its file is now, to run on this machine."""
    from compete.cli.opening import here, tell
    from compete.workflows.allow import allow

    workspace = here()
    allowed = allow(workspace)
    tell(f"{workspace.shown(allowed.file)} may run as it is now; remembered in {allowed.remembered_in}")
