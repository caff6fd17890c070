"""Faces: the pages people see, the shop and the console, over the same questions and verbs as the
programs' doors.

This door offers where the shared look lives. `STATIC` is the folder that is served under
`/static`; `page_loader()` finds templates: shared ones as `layout/shop.html`, a face's own ones
as `storefront/home.html` or `console/today.html`.
"""

from pathlib import Path

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PrefixLoader

HERE = Path(__file__).parent
STATIC = HERE / "static"
OWN_PAGES = ("storefront", "console")

__all__ = ["STATIC", "page_loader"]


def page_loader() -> BaseLoader:
    """Where templates come from, in the order they are looked for."""
    own = {face: FileSystemLoader(HERE / face / "pages") for face in OWN_PAGES}
    return ChoiceLoader([FileSystemLoader(HERE / "pages"), PrefixLoader(own)])
