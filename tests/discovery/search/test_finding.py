"""What a buyer types finds what they mean."""

from typing import Any

import pytest

from discovery.search.shelf import pid
from pinwheel.discovery.search import (
    COMMON_SYNONYMS,
    Query,
    Results,
    SearchIndex,
    Thesaurus,
    search,
)


def found(index: SearchIndex, text: str, language: str = "en", **more: Any) -> list[int]:
    answer = search(index, Query(text=text, language=language, **more))
    return [h.product_id.int - pid(0).int for h in answer.hits]


def asked(index: SearchIndex, text: str, **more: Any) -> Results:
    return search(index, Query(text=text, **more))


@pytest.mark.parametrize(
    ("text", "first"),
    [
        *[("三体", 1), ("santi", 1), ("san ti", 1), ("st", 1), ("三體", 1), ("刘慈欣", 1)],
        *[("皮包", 4), ("pibao", 4), ("pb", 4), ("哈利波特 密室", 3), ("显卡 gtx 1660", 7)],
        *[("GTX-1660", 7), ("gtx1660", 7), ("GTX 1660", 7), ("1660super", 7), ("6 gb card", 7)],
        *[('15.6" laptop', 8), ("15.6 inch laptop", 8), ("15,6 inch laptop", 8), ("laptops", 8)],
        *[
            ("cafe creme", 10),
            ("CAFÉ", 10),
            ("ｃａｆｅ", 10),
            ("head set", 11),
            ("蓝牙 headset", 11),
        ],
    ],
)
def test_scripts_and_notations(index: SearchIndex, text: str, first: int) -> None:
    for language in ("en", "zh-CN"):
        assert found(index, text, language)[:1] == [first]
        assert asked(index, text, language=language).widening == "none"


@pytest.mark.parametrize(
    ("text", "meant", "first"),
    [
        ("harry poter", "harry potter", {2, 3}),
        ("hary potter", "harry potter", {2, 3}),
        ("canvas hnadbag", "canvas handbag", {5, 6}),
        ("bluetoth headset", "bluetooth headset", {11}),
        ("philosofer stone", "philosopher stone", {2}),
    ],
)
def test_a_misspelt_word_is_corrected_and_said_so(
    index: SearchIndex, text: str, meant: str, first: set[int]
) -> None:
    answer = asked(index, text)
    assert (answer.widening, answer.did_you_mean) == ("corrected", meant)
    assert answer.hits[0].product_id in {pid(n) for n in first}
    assert answer.found == 0


def test_a_correct_word_is_left_alone(index: SearchIndex) -> None:
    assert asked(index, "harry potter").did_you_mean is None


@pytest.mark.parametrize(
    ("text", "only"),
    [
        *[("9787536692930", 1), ("978-7-5366-9293-0", 1), ("7536692935", 1), ("7-5366-9293-5", 1)],
        *[("0747532699", 2), ("978-0-7475-3269-9", 2), ("09780747532699", 2)],
        *[("GN-1660-S6", 7), ("gn1660s6", 7), ("gn 1660 s6", 7)],
    ],
)
def test_an_identifier_in_any_notation(index: SearchIndex, text: str, only: int) -> None:
    answer = asked(index, text)
    assert answer.hits[0].product_id == pid(only)
    assert "identifier" in {part.reason for part in answer.hits[0].because}


def test_an_identifier_comes_before_words(index: SearchIndex) -> None:
    assert found(index, "GN-1660-S6")[0] == 7


def test_reasons_add_up_to_the_score(index: SearchIndex) -> None:
    for text in ("harry potter", "canvas handbag blue", "laptop", "三体", "GN-1660-S6"):
        for hit in asked(index, text).hits:
            parts = sum(part.points for part in hit.because)
            assert hit.score > 0
            assert parts == hit.score or hit.score - parts in (1 << 20, 1 << 21, 3 << 20), text


def test_the_name_of_a_kind_outranks_an_accessory(index: SearchIndex) -> None:
    assert found(index, "laptop")[:2] == [8, 9]


def test_few_complete_matches_are_followed_by_near_ones(index: SearchIndex) -> None:
    answer = asked(index, "blue canvas handbag")
    assert answer.complete == 1 and answer.hits[0].product_id == pid(6)
    assert answer.total > 1 and answer.hits[1].product_id == pid(5)
    assert answer.found == 1


def test_words_that_nobody_knows_are_dropped_and_named(index: SearchIndex) -> None:
    answer = asked(index, "handbag zzzxqqv")
    assert (answer.widening, answer.ignored) == ("fewer_terms", ["zzzxqqv"])
    assert {h.product_id for h in answer.hits} == {pid(4), pid(5), pid(6)}
    assert answer.found == 0


def test_nothing_found_shows_what_is_popular_in_the_category(index: SearchIndex) -> None:
    answer = asked(index, "zzzxqqv", facets={"category": ["bags"]})
    assert answer.widening == "popular"
    assert {h.product_id for h in answer.hits} == {pid(4), pid(5), pid(6)}
    assert asked(index, "zzzxqqv").hits[0].product_id == pid(10)
    assert asked(index, "zzzxqqv").found == 0


def test_filters_that_leave_nothing_are_told_from_words_that_do(index: SearchIndex) -> None:
    answer = asked(index, "harry potter", facets={"category": ["bags"]}, price_max_minor=1)
    assert (answer.total, answer.widening, answer.outside_filters) == (0, "none", 2)
    answer = asked(index, "harry poter", facets={"category": ["bags"]})
    assert (answer.total, answer.did_you_mean, answer.outside_filters) == (0, "harry potter", 2)


def test_an_empty_query_browses_by_popularity(index: SearchIndex) -> None:
    answer = asked(index, "")
    assert answer.widening == "none" and answer.total == 11
    assert [h.product_id for h in answer.hits[:2]] == [pid(10), pid(8)]


def test_synonyms_rank_behind_the_word_itself(index: SearchIndex) -> None:
    known = Thesaurus(COMMON_SYNONYMS)
    for text in ("notebook computer", "notebook"):
        answer = search(index, Query(text=text), synonyms=known)
        assert answer.hits[0].product_id == pid(8), text
    own = Thesaurus([["手袋", "handbag"]])
    answer = search(index, Query(text="手袋", language="zh-CN"), synonyms=own)
    assert {h.product_id for h in answer.hits} == {pid(4), pid(5), pid(6)}


def test_what_cannot_be_bought_is_hidden_or_last(index: SearchIndex) -> None:
    assert found(index, "台灯", "zh-CN", buyable_only=False) == [12]
    assert 12 not in found(index, "lamp")
    assert found(index, "lamp", buyable_only=False) == [12]
    assert asked(index, "", buyable_only=False, limit=100).hits[-1].product_id != pid(10)


def test_facets_are_counted_under_the_other_filters(index: SearchIndex) -> None:
    def counts(code: str, **facets: list[str]) -> dict[str, int]:
        answer = asked(index, "handbag", facets=facets)
        values = next(f.values for f in answer.facets if f.code == code)
        return {v.value: v.count for v in values}

    assert counts("colour") == {"red": 2, "blue": 1}
    assert counts("colour", colour=["red"]) == {"red": 2, "blue": 1}
    assert counts("material", colour=["red"]) == {"leather": 1, "canvas": 1}
    assert counts("colour", colour=["red"], material=["leather"]) == {"red": 1}
    assert counts("colour", colour=["red", "blue"], material=["canvas"]) == {"red": 1, "blue": 1}
    assert counts("colour", colour=["green"])["green"] == 0
    assert len(found(index, "handbag", facets={"colour": ["red", "blue"]})) == 3
    assert found(index, "handbag", facets={"colour": ["red"], "material": ["canvas"]}) == [5]


def test_price_bounds_and_orders(index: SearchIndex) -> None:
    assert found(index, "handbag", price_min_minor=9800, price_max_minor=9900) in ([5, 6], [6, 5])
    assert found(index, "handbag", sort="price_asc") == [6, 5, 4]
    assert found(index, "handbag", sort="price_desc") == [4, 5, 6]
    answer = asked(index, "handbag")
    assert (answer.price_min_minor, answer.price_max_minor) == (9800, 39900)
    assert found(index, "handbag", price_min_minor=10**30) == []


def test_pages_do_not_overlap(index: SearchIndex) -> None:
    whole = found(index, "", limit=100)
    pages = [n for at in range(0, 12, 3) for n in found(index, "", offset=at, limit=3)]
    assert pages == whole and len(set(whole)) == 11


HOSTILE = [
    *["a" * 10_000, "三" * 10_000, "a " * 5_000, '"', "AND ( \"", "title:* OR", "-", "!!!???,.;:"],
    *["\x00\x00", "三\x00体", "😀", "👩‍👩‍👧‍👦 bag", "\ud800", "%s %d {}", "' or 1=1 --"],
    *["<script>alert(1)</script>"],
    *["..-/+&'’_", "a-b-c-d-e-f-g-h-i-j-k", "\u202e\u200b", "ｶﾀｶﾅ", "ǅ ß ŉ ﬁ", "１２３", "0" * 200],
    *[".*", "[a-z]+", "(", "p:", "i:", "=x", "2:三体", "\x1f", "web\x1f", "１．５", "е́", "\n\t\r"],
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_an_error(index: SearchIndex, text: str) -> None:
    for as_typed in (False, True):
        answer = asked(index, text, as_typed=as_typed, facets={text: [text], "brand": []})
        assert answer.total >= len(answer.hits)
        assert asked(index, text, as_typed=as_typed, buyable_only=False).total >= 0


def test_numbers_out_of_bounds_are_no_error(index: SearchIndex) -> None:
    assert found(index, "handbag", offset=-5, limit=-1) == []
    assert found(index, "handbag", offset=10**9) == []
    assert len(found(index, "", limit=10**9)) == 11


def test_an_index_that_is_not_there_answers_empty(tmp_path: Any) -> None:
    answer = search(SearchIndex(tmp_path / "none"), Query(text="laptop"))
    assert (answer.hits, answer.total) == ([], 0)


def test_unfinished_words(index: SearchIndex) -> None:
    assert found(index, "head", as_typed=True)[:1] == [11]
    assert set(found(index, "harry po", as_typed=True)) == {2, 3}
    assert found(index, "sant", as_typed=True)[:1] == [1]
