"""Pages: Jinja2 templates with one environment for each language, and the files beside them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import mimetypes
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from pinwheel.kernel import words

OWN = PrefixLoader({"kernel": FileSystemLoader(Path(__file__).parent / "pages")})


class Asset(msgspec.Struct, frozen=True):
    path: Path
    changed_at: int
    version: str
    body: bytes
    media_type: str


class Assets:
    """The static files. An address carries the content's hash, so a browser keeps it for good."""

    def __init__(self, *folders: Path) -> None:
        self.folders = [folder.resolve() for folder in folders]
        self._known: dict[str, Asset] = {}

    def find(self, name: str) -> Asset | None:
        """The file called ``name``, read once and again when it changes; None when there is
        none."""
        known = self._known.get(name)
        for folder in self.folders:
            path = (folder / name.lstrip("/")).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                continue
            changed_at = path.stat().st_mtime_ns
            if known is None or known.path != path or known.changed_at != changed_at:
                known = _read(path, changed_at)
                self._known[name] = known
            return known
        return None

    def url(self, name: str) -> str:
        """The address of a file. One that is missing (a development tree) gets an address all the
        same."""
        asset = self.find(name)
        return f"/static/{name}?v={asset.version}" if asset else f"/static/{name}"


def _read(path: Path, changed_at: int) -> Asset:
    body = path.read_bytes()
    digest = hashlib.blake2b(body, digest_size=9).digest()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind == "image/svg+xml":
        kind += "; charset=utf-8"
    return Asset(path, changed_at, base64.urlsafe_b64encode(digest).decode(), body, kind)


class Pages:
    """``render(language, page, part, context)``."""

    def __init__(self, loader: BaseLoader | None, assets: Assets, time_zone: str) -> None:
        loaders: list[BaseLoader] = [OWN] if loader is None else [loader, OWN]
        self._environments = {
            language: _environment(language, ChoiceLoader(loaders), assets, time_zone)
            for language in words.LANGUAGES
        }

    def render(self, language: str, page: str, part: str | None, context: dict[str, Any]) -> str:
        """The page, or its ``part`` alone: a template of its own or a block of the page."""
        environment = self._environments[language]
        if part is not None and part.endswith(".html"):
            return environment.get_template(part).render(context)
        template = environment.get_template(page)
        if part is None:
            return template.render(context)
        mine = template.new_context(context)
        # What stands above the blocks, imports and names, happens before the first piece of text.
        whole = template.root_render_func(mine)
        next(whole, None)
        return "".join(template.blocks[part](mine))


def _environment(language: str, loader: BaseLoader, assets: Assets, zone: str) -> Environment:
    environment = Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    catalogue = words.words(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        catalogue.gettext, catalogue.ngettext, newstyle=True
    )

    def url(path: str) -> str:
        return f"/{language}{path}"

    def money(minor: int, currency: str) -> str:
        return words.money(minor, currency, language)

    def date(value: dt.date | dt.datetime, style: str = "medium") -> str:
        return words.date(value, language, zone, style)

    def datetime(value: dt.datetime, style: str = "short") -> str:
        return words.datetime(value, language, zone, style)

    environment.filters.update(
        url=url,
        asset=assets.url,
        money=money,
        date=date,
        datetime=datetime,
        moment=partial(words.moment, language=language, zone=zone),
        field=partial(words.field, zone=zone),
        number=partial(words.number, language=language),
    )
    # A refusal's page stands in the faces' frame, or in our own where there are no faces.
    there = environment.list_templates()
    bare = "layout/bare.html" if "layout/bare.html" in there else "kernel/bare.html"
    environment.globals.update(url=url, asset=assets.url, lang=language, bare=bare)
    return environment
