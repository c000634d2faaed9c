"""Runs the code cells of a notebook one after the other, as Kaggle does, in a process whose sockets are closed.

Run as a file of its own, `python -P cells_run.py NOTEBOOK`: it imports nothing of compete, so that the notebook uses
the compete that it installed itself.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


def _refuse(*arguments: Any, **more: Any) -> NoReturn:
    raise OSError(f"there is no network here, and {arguments[1:] or arguments} was asked for")


def _main(path: Path) -> None:
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _refuse)
    socket.getaddrinfo = _refuse
    socket.create_connection = _refuse
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        exec(compile(text, f"cell {number + 1}", "exec"), names)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
