"""Relevance on judged queries, where the sample is at hand."""

import os
from pathlib import Path

import pytest

from pinwheel.discovery import search
from pinwheel.kernel.errors import Invalid

ROOT = Path(__file__).parents[3]
SAMPLE = Path(os.environ.get("PINWHEEL_DATA", ROOT.parent / "shared" / "data")) / "icecat"


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the judged sample is not here")
def test_better_than_plain_bm25_on_queries_that_chose_nothing() -> None:
    figures = search.bench(SAMPLE, products=300)["figures"]
    assert figures["all.unrated_as_0"]["bm25"] == pytest.approx(0.708, abs=0.005)
    assert figures["all.rated_only"]["bm25"] == pytest.approx(0.823, abs=0.005)
    assert figures["held_out.unrated_as_0"]["ratio"] >= 1.05
    assert figures["held_out.rated_only"]["ratio"] >= 1.0


def test_a_folder_without_a_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        search.bench(tmp_path)
