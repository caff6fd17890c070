"""Refusals: a clear "no" in the reader's language. A refused call changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pinwheel.kernel.words import language_of, words


class Refusal(Exception):
    """A call that can't be done, said as one sentence: what, where, what to do.

    A subclass names the state that refuses (``TeamFull``) and gives the sentence in both
    languages with ``{facts}`` in braces. ``code`` is the class name in snake case and is what
    programs match on."""

    status: ClassVar[int] = 409
    en: ClassVar[str] = "This can't be done."
    zh: ClassVar[str] = "无法完成此操作。"
    codes: ClassVar[Mapping[str, Mapping[str, tuple[str, str]]]] = {}
    """How a fact that is a code is said: ``{"state": {"live": ("running", "进行中")}}``. Programs
    get the code."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(type(self).__name__)
        self.facts = facts

    @property
    def code(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def sentence(self, language: str = "en") -> str:
        """The sentence in ``language`` (``zh…`` is Chinese, all else English)."""
        chinese = language.startswith("zh")
        facts = dict(self.facts)
        for fact, said in self.codes.items():
            if isinstance(code := facts.get(fact), str) and code in said:
                facts[fact] = said[code][chinese]
        return (self.zh if chinese else self.en).format(**facts)

    def __str__(self) -> str:
        return self.sentence()


class NotFound(Refusal):
    """Nothing with that name, or nothing that this caller may see: the two are told apart to
    nobody."""

    status = 404
    en = "There is no {what} here with that name. Check the address or the id."
    zh = "这里没有这个{what}。请检查地址或编号。"

    def sentence(self, language: str = "en") -> str:
        """What there is not is called by its name in the reader's language, from ``words``."""
        said = words(language_of(language) or "en").gettext(str(self.facts["what"]))
        return (self.zh if language.startswith("zh") else self.en).format(what=said)


class Invalid(Refusal):
    """Input that breaks a rule; ``where`` is the field, ``why`` the rule in English, ``why_zh``
    in Chinese."""

    status = 422
    en = "{where}: {why}"
    zh = "{where}：{why_zh}"

    def __init__(self, where: str, why: str, why_zh: str, **facts: Any) -> None:
        super().__init__(where=where, why=why, why_zh=why_zh, **facts)


class Unauthenticated(Refusal):
    status = 401
    en = "Please sign in first."
    zh = "请先登录。"


class Forbidden(Refusal):
    status = 403
    en = (
        "This account may not do that. Ask an operator for the right, or sign in with "
        "another account."
    )
    zh = "此账号没有该权限。请联系管理员授权，或换一个账号登录。"


class Overloaded(Refusal):
    """The queue is full: refused at once instead of waiting without end. Nothing was changed."""

    status = 503
    en = (
        "The shop is very busy. Nothing was changed; please try again in "
        "{retry_after_seconds} seconds."
    )
    zh = "当前访问量过大，尚未做任何更改，请在 {retry_after_seconds} 秒后重试。"

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Refusal):
    status = 429
    en = "Too many requests. Please try again in {retry_after_seconds} seconds."
    zh = "请求过于频繁，请在 {retry_after_seconds} 秒后重试。"

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__(retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class KeyReused(Refusal):
    """An idempotency key that came before with another input."""

    status = 422
    en = (
        "The idempotency key {key} was used before with different input. Send a new key "
        "for a new request."
    )
    zh = "幂等键 {key} 已用于另一个不同的请求。新的请求请使用新的幂等键。"
