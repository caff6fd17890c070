"""Item search: full text, pinyin, facets and completion over what a buyer may buy.

Words: a *document* is one product in one *market* (channel and region); a *unit* is one thing that
was asked for and the ways a document may answer it; a *snapshot* is one committed state.

Promises: any text is answered, none raises; the same documents give the same hits and scores
whatever the index has been through, so a rebuild changes nothing; readers never wait for a writer;
only buyable products are listed unless asked otherwise; every hit says why it stands where it does.

`SearchIndex(root)` reads, `Writer(root)` writes (one at a time), `search` and `suggest` answer.
"""

from pinwheel.discovery.search.finding import search
from pinwheel.discovery.search.index import IndexBusy, SearchIndex, Writer
from pinwheel.discovery.search.lexicon import GROUPS as COMMON_SYNONYMS
from pinwheel.discovery.search.model import (
    Category,
    Document,
    Facet,
    FacetValue,
    Hit,
    Query,
    Results,
    ScorePart,
    Suggestion,
)
from pinwheel.discovery.search.plan import Thesaurus

__all__ = [
    "COMMON_SYNONYMS",
    "Category",
    "Document",
    "Facet",
    "FacetValue",
    "Hit",
    "IndexBusy",
    "Query",
    "Results",
    "ScorePart",
    "SearchIndex",
    "Suggestion",
    "Thesaurus",
    "Writer",
    "search",
]
