"""The storefront: the pages a buyer walks through, from the first look to the return.

Words: a *frame* is what stands around every page (departments, markets, ways of delivery); a *card*
is a product in a list; a *market* is where the reader buys: a currency, its taxes and countries.

Promises: every page works without JavaScript and by keyboard; the price, the stock and the
structured data of a product come from one place, so they can't differ; a product page costs at most
five statements.
"""

from pinwheel.faces.storefront.frame import surroundings

__all__ = ["surroundings"]
