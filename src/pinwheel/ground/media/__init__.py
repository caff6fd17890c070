"""Media: pictures that people send.

Words: a picture is *remade*: decoded and drawn anew as WebP; the *store* keeps files by what they
contain.

Promises: nothing of a sent file survives but what can be seen; a picture that is gone is not shown
from that moment, and its file goes within the hour unless the same one is there for somebody else;
a file is written whole or not at all.
"""

from pinwheel.ground.media.actions import file_of, keep_picture, remove_picture, use
from pinwheel.ground.media.model import MEDIA_TYPE, NotAPicture, Picture, PictureTooLarge
from pinwheel.ground.media.queries import export, pictures

__all__ = [
    "MEDIA_TYPE",
    "NotAPicture",
    "Picture",
    "PictureTooLarge",
    "export",
    "file_of",
    "keep_picture",
    "pictures",
    "remove_picture",
    "use",
]
