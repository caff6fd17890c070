"""Community: what buyers say to each other about what they bought.

Words: a *review* is a rating and words of somebody who has received the product; a *signal* is one
reason to doubt, with its figures; a *ring* is a group of accounts that act as one; a *verdict* is
what a moderator says; the *score* is what to rank products by.

Promises: one review for each person and product, from a delivered order line alone; what was given
for it is shown; every doubt keeps its reasons and is decided by a person; few ratings count for
less; whoever is erased takes their words with them.
"""

from pinwheel.growth.community.asking import answer, ask, withdraw_words
from pinwheel.growth.community.erasing import export, forget_people
from pinwheel.growth.community.model import (
    AlreadyReviewed,
    Answer,
    ForeignPicture,
    NewReview,
    NothingDelivered,
    Order,
    OwnReview,
    OwnWords,
    Question,
    QuestionAnswered,
    QuestionAsked,
    Queued,
    Rating,
    RatingChanged,
    ReportReason,
    Review,
    ReviewPublished,
    ReviewWithdrawn,
    Signal,
    Trace,
    Verdict,
    Written,
)
from pinwheel.growth.community.moderation import moderate, report
from pinwheel.growth.community.queries import (
    ProductReviews,
    product_reviews,
    questions,
    queue,
    ratings_of,
    reviews_of,
)
from pinwheel.growth.community.reviews import (
    edit_review,
    reply,
    vote,
    withdraw_review,
    write_review,
)

__all__ = [
    "AlreadyReviewed",
    "Answer",
    "ForeignPicture",
    "NewReview",
    "NothingDelivered",
    "Order",
    "OwnReview",
    "OwnWords",
    "ProductReviews",
    "Question",
    "QuestionAnswered",
    "QuestionAsked",
    "Queued",
    "Rating",
    "RatingChanged",
    "ReportReason",
    "Review",
    "ReviewPublished",
    "ReviewWithdrawn",
    "Signal",
    "Trace",
    "Verdict",
    "Written",
    "answer",
    "ask",
    "edit_review",
    "export",
    "forget_people",
    "moderate",
    "product_reviews",
    "questions",
    "queue",
    "ratings_of",
    "reply",
    "report",
    "reviews_of",
    "vote",
    "withdraw_review",
    "withdraw_words",
    "write_review",
]
