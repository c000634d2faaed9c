from __future__ import annotations

from pathlib import Path

import pytest

from support.report_page import ReportPage, read_page


@pytest.fixture(scope="module")
def page(report_page: Path) -> ReportPage:
    return read_page(report_page)
