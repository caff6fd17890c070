"""What is written and what is asked become the same terms."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from discovery.search.shelf import item
from pinwheel.discovery.search import Category, Query, SearchIndex, Writer, search
from pinwheel.discovery.search.analysis import fold, identifier, index_terms, tokens
from pinwheel.discovery.search.plan import words_of
from pinwheel.discovery.search.ranking import LEVELS, terms_of
from pinwheel.discovery.search.ranking import texts as texts_of


def terms(text: str) -> set[str]:
    return set(index_terms(tokens(text), with_pinyin=True))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("三体全集", {"三体", "全集", "2:三体", "1:三", "p:santi", "i:st", "p:santiquanji"}),
        ("女士真皮包", {"真皮", "皮包", "p:pibao", "i:pb", "2:皮包"}),
        ("GTX-1660", {"gtx1660", "gtx", "1660"}),
        ("6 GB", {"6", "gb", "6gb"}),
        ("1,000mAh 15,6''", {"1000mah", "1000", "mah", "15.6", "inch", "15.6inch"}),
        ("Wi-Fi Laptops", {"wifi", "wi", "fi", "laptop", "=laptops"}),
        ("Crème Brûlée™ <br/>ＡＢＣ", {"creme", "brule", "abc"}),
        ("哈利·波特", {"2:利波"}),
        ("三体 刘慈欣", {"三体", "刘慈欣"}),
    ],
)
def test_terms(text: str, wanted: set[str]) -> None:
    assert wanted <= terms(text)


def test_words_of_two_runs_make_no_pair() -> None:
    assert "2:体刘" not in terms("三体 刘慈欣")


@pytest.mark.parametrize(
    ("given_", "key"),
    [
        ("978-7-5366-9293-0", "09787536692930"),
        ("7-5366-9293-5", "09787536692930"),
        ("0-8044-2957-x", "09780804429573"),
        ("7-5366-9293-4", "7536692934"),  # a wrong check digit is no ISBN
        ("0095205603217", "00095205603217"),
        ("96385074", "00000096385074"),
        ("gn 1660/s6", "GN1660S6"),
        ("", ""),
        ("-- --", ""),
    ],
)
def test_identifiers(given_: str, key: str) -> None:
    assert identifier(given_) == key


def test_a_level_never_leaves_its_bits() -> None:
    document = item(1, "word " * 500, description="word " * 900, brands=["word"] * 50)
    levels = {level for level, _ in terms_of(texts_of(document)).levels.values()}
    assert levels <= set(range(1, LEVELS + 1))


texts = st.text(max_size=60) | st.text("三体皮包abcXYZ0123-/.'\" \n·é", max_size=40)


@settings(max_examples=40)
@given(title=texts, other=texts)
@example(title="p:x 2:三体 =y", other="\x1f")
@example(title="x" * 5_000, other="三" * 5_000)
@example(title="İstanbul ß ŉ ﬁ", other="\u3099\u0345")
@example(title="the of 的", other="")
def test_any_product_is_found_by_its_own_title(title: str, other: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        document = item(
            1, title, description=other, brands=[other], identifiers=[other],
            categories=[Category(other, {"en": other})], facets={other: [other]},
        )  # fmt: skip
        with Writer(root) as writer:
            writer.apply([document.product_id], [document])
        index = SearchIndex(root)
        answer = search(index, Query(text=title, facets={other: [other]}))
        assert answer.total == 1
        if words_of(title):
            assert answer.widening == "none"
        search(index, Query(text=other, as_typed=True, language="zh-CN"))


@settings(max_examples=200)
@given(texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
