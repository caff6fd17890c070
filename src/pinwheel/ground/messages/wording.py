"""From a template and facts to the words of a letter, and from the words to its two parts.

A letter is written as plain text: paragraphs with a blank line between, lines that begin with
``- `` are a list, and ``[words](address)`` is a link (alone on its line: a button). The HTML part
is made from that same text, so the two can't say different things.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from pinwheel.kernel import words
from pinwheel.kernel.errors import Invalid

LINK = re.compile(r"\[([^\]\n]{1,200})\]\((https?://[^\s)]{1,1900}|/[^\s)]{0,1900})\)")
FACT = re.compile(r"{{\s*([a-z_]{1,40})\s*(?:\|\s*([^}]{0,100}?)\s*)?}}")
MOST_SUBJECT = 200
MOST_BODY = 20_000


class Words(msgspec.Struct, frozen=True):
    """A letter as it is read: subject, and text in the form above."""

    subject: str
    text: str


class Letters:
    """A folder of letters, ``<name>.<language>.txt``: the subject on the first line, then a blank
    line, then the text. ``money``, ``date`` and ``number`` write as the reader's language does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted({file.name.split(".")[0] for file in self.folder.glob("*.txt")})

    def words(self, name: str, language: str, facts: Mapping[str, Any], zone: str) -> Words:
        template = _environment(self.folder, language, zone).get_template(f"{name}.{language}.txt")
        subject, _, text = template.render(**facts).partition("\n")
        return Words(one_line(subject), text.strip())


@cache
def _environment(folder: Path, language: str, zone: str) -> jinja2.Environment:
    environment = jinja2.Environment(  # noqa: S701 - plain text; the HTML part is escaped below
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def date(value: dt.datetime) -> str:
        return words.date(value, language, zone)

    def money(minor: int, currency: str) -> str:
        return words.money(minor, currency, language)

    def word(names: Mapping[str, str]) -> str:
        return words.said(names, language)

    number = partial(words.number, language=language)
    environment.filters.update(money=money, date=date, number=number, word=word)
    return environment


def one_line(text: str) -> str:
    """A header's value: no line break can begin another header."""
    return " ".join(text.split())[:MOST_SUBJECT]


def facts_in(text: str) -> set[str]:
    return {found[0] for found in FACT.findall(text)}


def filled(text: str, facts: Mapping[str, Any]) -> str:
    """``{{ name }}`` or ``{{ name | what stands there without one }}`` in a letter of the staff: a
    value and nothing else, so what they write can't run."""

    def value(found: re.Match[str]) -> str:
        said = facts.get(found[1])
        return str(said) if said not in (None, "") else (found[2] or "").strip("\"' ")

    return FACT.sub(value, text)


def checked(subject: Mapping[str, str], body: Mapping[str, str]) -> None:
    """A letter of the staff: both languages, within bounds, braces that close; else ``Invalid``."""
    for language in words.LANGUAGES:
        said, text = subject.get(language, "").strip(), body.get(language, "").strip()
        if not said or not text:
            raise Invalid(
                f"subject.{language}" if not said else f"body.{language}",
                "a letter is written in both languages",
                "邮件需要同时填写中文和英文",
            )
        if len(said) > MOST_SUBJECT or len(text) > MOST_BODY:
            raise Invalid(f"body.{language}", "this is too long", "内容过长")
        rest = FACT.sub("", said + text)
        if "{{" in rest or "}}" in rest:
            raise Invalid(
                f"body.{language}",
                "a fact is written as {{ name }} or {{ name | otherwise }}",
                "变量写作 {{ name }} 或 {{ name | 默认值 }}",
            )


def plain(text: str, base_url: str) -> str:
    """The text part: links are written out."""
    return LINK.sub(lambda m: f"{m[1]}: {_absolute(m[2], base_url)}", text)


def as_html(said: Words, language: str, base_url: str) -> str:
    """The HTML part. Everything from the text is escaped; only the form above makes elements."""
    body = "\n".join(_block(part, base_url) for part in re.split(r"\n\s*\n", said.text.strip()))
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{html.escape(said.subject)}</title>"
        '<meta name="viewport" content="width=device-width"></head>'
        '<body style="margin:0;padding:24px;background:#f6f4f1;color:#1d1b19;'
        "font:16px/1.6 system-ui,-apple-system,'PingFang SC','Microsoft YaHei',sans-serif\">"
        '<div style="max-width:560px;margin:0 auto;padding:24px 28px;background:#fff;'
        f'border-radius:10px">{body}</div></body></html>'
    )


def _block(part: str, base_url: str) -> str:
    lines = [line.strip() for line in part.strip().splitlines()]
    if all(line.startswith("- ") for line in lines):
        items = "".join(f"<li>{_inline(line[2:], base_url)}</li>" for line in lines)
        return f'<ul style="padding-left:20px;margin:0 0 16px">{items}</ul>'
    alone = LINK.fullmatch(lines[0]) if len(lines) == 1 else None
    if alone:
        return (
            f'<p style="margin:20px 0"><a href="{html.escape(_absolute(alone[2], base_url))}" '
            'style="display:inline-block;padding:12px 20px;border-radius:8px;background:#b3261e;'
            f'color:#fff;text-decoration:none">{html.escape(alone[1])}</a></p>'
        )
    return f'<p style="margin:0 0 16px">{"<br>".join(_inline(x, base_url) for x in lines)}</p>'


def _inline(line: str, base_url: str) -> str:
    made, at = [], 0
    for m in LINK.finditer(line):
        made.append(html.escape(line[at : m.start()]))
        address = html.escape(_absolute(m[2], base_url))
        made.append(f'<a href="{address}" style="color:#b3261e">{html.escape(m[1])}</a>')
        at = m.end()
    return "".join(made) + html.escape(line[at:])


def _absolute(address: str, base_url: str) -> str:
    return f"{base_url}{address}" if address.startswith("/") else address
