"""Article numbers: what is proven is mended, what is not is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.catalogue.identifiers import check_digit, is_isbn10


@pytest.mark.parametrize(
    ("text", "code", "mended"),
    [
        ("9780439023481", "9780439023481", ""),
        ("978-0-439-02348-1", "9780439023481", ""),
        ("9780439023481.0", "9780439023481", "as_text"),
        ('="9780439023481"', "9780439023481", ""),
        ("9.780439023481E+12", "9780439023481", "as_text"),
        ("0439023483", "9780439023481", "isbn10"),
        ("0-8044-2957-X", "9780804429573", "isbn10"),
        ("036000291452", "0036000291452", ""),
        ("36000291452", "0036000291452", "leading_zeros"),
        ("96385074", "0000096385074", ""),
        ("10036000291459", "10036000291459", ""),
        ("00036000291452", "0036000291452", ""),
    ],
)
def test_a_proven_number_is_read(text: str, code: str, mended: str) -> None:
    assert catalogue.read_gtin(text) == catalogue.Gtin(code, mended)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("9780439023480.0", catalogue.GtinCheckDigit),  # the check digit says 1
        ("9.78044E+12", catalogue.GtinDigitsLost),
        ("9.78043902348e+12", catalogue.GtinDigitsLost),
        ("9.78043955493E+12", catalogue.GtinDigitsLost),  # reads as a sound number by chance
        ("0000000000000", catalogue.GtinUnreadable),
        ("1234567", catalogue.GtinUnreadable),
        ("978043902348123", catalogue.GtinUnreadable),
        ("n/a", catalogue.GtinUnreadable),
        ("٩٧٨٠٤٣٩٠٢٣٤٨١", catalogue.GtinUnreadable),
        ("9780439023482", catalogue.GtinCheckDigit),
        ("4.5E+99", catalogue.GtinUnreadable),
    ],
)
def test_what_can_not_be_proven_is_refused(text: str, refusal: type[Refusal]) -> None:
    answer = catalogue.read_gtin(text)
    assert isinstance(answer, refusal)
    assert "{" not in answer.sentence("en") + answer.sentence("zh-CN")


def test_the_check_digit_that_was_expected_is_said() -> None:
    answer = catalogue.read_gtin("9780439023482")
    assert isinstance(answer, Refusal)
    assert "would have to be 1" in answer.sentence("en")


def test_a_second_column_proves_a_number_that_lost_digits() -> None:
    code = catalogue.Gtin("9780439023481", "second_number")
    assert catalogue.read_gtin("9.78043902348e+12", isbn="439023483") == code
    assert catalogue.read_gtin("9.78044E+12", isbn="0439023483") == code
    other = catalogue.read_gtin("9.78055381395e+12", isbn="439023483")
    assert isinstance(other, catalogue.GtinDigitsLost)


def test_an_isbn_column_may_have_lost_its_zeros() -> None:
    assert catalogue.read_isbn("439023483") == catalogue.Gtin("9780439023481", "isbn10")
    assert isinstance(catalogue.read_isbn("439023484"), Refusal)


def test_two_readings_are_not_guessed_between() -> None:
    body = next(
        f"{n:010d}"
        for n in range(1_000_000_000, 1_000_100_000)
        if is_isbn10(f"{n:010d}") and check_digit(str(n)[:9]) == n % 10
    )
    assert isinstance(catalogue.read_gtin(body), catalogue.GtinAmbiguous)


@given(st.integers(10**11, 10**12 - 1))
def test_any_sound_number_survives_what_a_spreadsheet_keeps_whole(body: int) -> None:
    code = f"{body}{check_digit(str(body))}"
    for text in (code, f"{code}.0", f"{float(code):.12e}", code[:1] + " " + code[1:]):
        answer = catalogue.read_gtin(text)
        assert isinstance(answer, catalogue.Gtin) and answer.code == code


@given(st.integers(10**11, 10**12 - 1), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(body: int, place: int, off: int) -> None:
    code = f"{body}{check_digit(str(body))}"
    wrong = code[:place] + str((int(code[place]) + off) % 10) + code[place + 1 :]
    assert isinstance(catalogue.read_gtin(wrong), Refusal)


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    answer = catalogue.read_gtin(text, isbn=text)
    if isinstance(answer, catalogue.Gtin):
        assert len(answer.code) in (13, 14)
        assert check_digit(answer.code[:-1]) == int(answer.code[-1])
