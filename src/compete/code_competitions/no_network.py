"""No way out: what a process does that must run without a network, as Kaggle runs a notebook.

Two walls. In the process itself every attempt to reach another machine raises, and says where. Around it, where the
system allows that (Linux, user namespaces), a network namespace of its own, which what it starts is behind too.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import Any, NoReturn

_NAMESPACE = ["unshare", "--map-root-user", "--net"]


class NetworkForbiddenError(OSError):
    """Something asked for the network."""


def forbid_network() -> None:
    """From here on no socket of this process reaches another machine."""

    def refuse(*arguments: Any, **more: Any) -> NoReturn:
        raise NetworkForbiddenError(f"there is no network here, and {arguments[1:] or arguments} was asked for")

    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, refuse)
    socket.getaddrinfo = refuse
    socket.create_connection = refuse


def behind_walls(command: list[str]) -> tuple[list[str], str]:
    """The command in a network namespace where that is possible; and in words what keeps it from the network."""
    if shutil.which(_NAMESPACE[0]) is not None:
        tried = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False, timeout=30)
        if tried.returncode == 0:
            return [*_NAMESPACE, *command], "a network namespace without a network, and closed sockets"
    return command, "closed sockets"
