"""The page about performance shows what was measured."""

import json

from benchmarks.speed import tables
from benchmarks.speed.report import BEGIN, END
from tests.processes import ROOT


def test_the_tables_of_the_page_are_made_of_its_figures() -> None:
    page = (ROOT / "docs" / "PERFORMANCE.md").read_text()
    figures = json.loads((ROOT / "docs" / "performance.json").read_text())
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == tables.markdown(figures).strip()
