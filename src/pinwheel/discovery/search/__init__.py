"""Item search: full text, pinyin, facets and completion over what a buyer may buy.

Words: a *document* is one product in one *market* (channel and region); a *unit* is one thing that
was asked for and the ways a document may answer it; a *snapshot* is one committed state.

Promises: any text is answered, none raises; the same documents give the same hits and scores
whatever the index has been through, so a rebuild changes nothing; readers never wait for a writer;
only buyable products are listed unless asked otherwise; every hit says why it stands where it does.

`SearchDesk(db, root)` answers pages and counts what is asked; `Follower(db, root)` keeps the
index after the facts. Below them `SearchIndex(root)` reads, `Writer(root)` writes, `search` and
`suggest` answer from an index alone.
"""

from pinwheel.discovery.search.actions import (
    announce_popularity,
    forget_queries,
    record_queries,
    record_sales,
    remove_synonyms,
    set_synonyms,
)
from pinwheel.discovery.search.bench import bench
from pinwheel.discovery.search.desk import SearchDesk
from pinwheel.discovery.search.finding import search
from pinwheel.discovery.search.following import Follower, behind
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
    Sort,
    Spoken,
    Suggestion,
    SynonymInvalid,
    Unfound,
    Widening,
)
from pinwheel.discovery.search.plan import Thesaurus
from pinwheel.discovery.search.queries import (
    documents,
    spoken_queries,
    synonym_groups,
    unfound_queries,
)
from pinwheel.discovery.search.suggesting import Phrases, suggest

__all__ = [
    "COMMON_SYNONYMS",
    "Category",
    "Document",
    "Facet",
    "FacetValue",
    "Follower",
    "Hit",
    "IndexBusy",
    "Phrases",
    "Query",
    "Results",
    "ScorePart",
    "SearchDesk",
    "SearchIndex",
    "Sort",
    "Spoken",
    "Suggestion",
    "SynonymInvalid",
    "Thesaurus",
    "Unfound",
    "Widening",
    "Writer",
    "announce_popularity",
    "behind",
    "bench",
    "documents",
    "forget_queries",
    "record_queries",
    "record_sales",
    "remove_synonyms",
    "search",
    "set_synonyms",
    "spoken_queries",
    "suggest",
    "synonym_groups",
    "unfound_queries",
]
