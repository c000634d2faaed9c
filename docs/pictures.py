"""Makes the pictures of the README from a workspace: `python docs/pictures.py WORKSPACE` (needs a Chromium).

The terminal's picture is what `compete stack --leave-one-out` prints at 80 columns; the report's is the page in a
browser.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from selenium import webdriver

import compete

PICTURES = Path(__file__).parent / "pictures"
COLUMNS = 80
# What the page shows in its picture: from the top to the end of this figure.
REPORT_WIDTH, LAST_FIGURE = 1000, "figure-co_occurrence"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    workspace = parser.parse_args().workspace
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "terminal.svg").write_text(terminal_svg(workspace, ["stack", "--leave-one-out"]), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        page = compete.open(workspace).report(folder).page
        for scheme in ("light", "dark"):
            (PICTURES / f"report_{scheme}.png").write_bytes(report_png(page, scheme))


def terminal_svg(workspace: Path, arguments: list[str]) -> str:
    """What a command prints on a terminal; notes on standard error are left out."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "compete.cli.main", *arguments]
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, encoding="utf-8", check=True)
    shown = re.sub(r"\x1b\[\?25[lh]|\r?\x1b\[2K|\x1b\[1A|\r", "", done.stdout)  # a spinner's traces
    lines = [line for line in shown.split("\n") if not re.match(r"^(\x1b\[[0-9;]*m)*[⠀-⣿]", line)]
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi("\n".join(lines).strip()))
    console.print()
    svg = console.export_svg(title=f"compete {' '.join(arguments)}")
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)  # the reader's own monospaced letters


def report_png(page: Path, scheme: str) -> bytes:
    """The upper part of the report in the reader's colour scheme, "light" or "dark"."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    # Named, so that selenium looks for none on the network.
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        _resize(browser, 1000)
        browser.get(page.as_uri())
        script = f"return document.getElementById('{LAST_FIGURE}').getBoundingClientRect().bottom + 16"
        _resize(browser, round(browser.execute_script(script)))
        return bytes(browser.get_screenshot_as_png())
    finally:
        browser.quit()


def _resize(browser: webdriver.Chrome, height: int) -> None:
    size = {"width": REPORT_WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


if __name__ == "__main__":
    main()
