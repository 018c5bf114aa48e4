"""evaluate --report: the page shows what these samples show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from report.test_html import assert_alone, parsed


def test_evaluate_writes_the_report_of_other_samples(cli: Any, examples: Path, tmp_path: Path) -> None:
    folder, data = tmp_path / "p", examples / "digits_test.npz"
    assert cli("build", examples / "digits.h5", "--board", "nucleo", "--out", folder, "--no-compile").code == 0
    told = cli("evaluate", folder, "--data", data, "--report", "--json").json
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert_alone(page)
    text = "".join(parsed(page).itertext())
    assert "500 samples of digits_test.npz" in text
    assert f"{100 * told['accuracy']:.1f} %accuracy (float {100 * told['float_accuracy']:.1f} %)" in text
    table = next(t for t in parsed(page).iter("table") if t.get("class") == "confusion")
    rows = [[int(cell.text or 0) for cell in row.iter("td")] for row in table.iter("tr")][1:]
    assert rows == told["confusion"]
    with np.load(data) as arrays:
        assert [sum(row) for row in rows] == np.bincount(arrays["y"]).tolist()
    assert sum(rows[i][i] for i in range(10)) == round(500 * told["accuracy"])
    refused = cli("evaluate", folder, "--data", data, "--report", "--on", "host")
    assert (refused.code, (folder / "report.html").read_text(encoding="utf-8")) == (2, page)
