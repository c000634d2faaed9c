"""The environment of a process that compete starts, without the secrets that it has no use for.

A training runs code of the workspace and of libraries, which the system lets read their environment and hand it on;
Kaggle's client is no trainer's friend either. Secrets in files stay where their own clients find them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

KAGGLE_SECRETS = frozenset({"KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_TOKEN", "KAGGLE_IAP_TOKEN"})
_SECRET = re.compile(r"(?i)(^|_)(token|key|secret|password|passwd|credentials)$")


def is_secret(name: str) -> bool:
    """Whether a variable of that name holds what nobody else may know."""
    return _SECRET.search(name) is not None


def for_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """Of a training: tokens of hubs and trackers stay, those of Kaggle do not."""
    return {name: value for name, value in environment.items() if name not in KAGGLE_SECRETS}


def for_kaggle(environment: Mapping[str, str]) -> dict[str, str]:
    """Of the process that talks to Kaggle: no secrets but Kaggle's own."""
    others = (name for name in environment if _SECRET.search(name) and not name.startswith("KAGGLE_"))
    return {name: environment[name] for name in environment.keys() - set(others)}
