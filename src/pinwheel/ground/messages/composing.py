"""The letter as it travels: headers, two parts, the way out of marketing."""

from __future__ import annotations

import re
import uuid
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import quote

from pinwheel.ground.messages.model import domain_of, link_token, message_token
from pinwheel.ground.messages.post import Post
from pinwheel.ground.messages.wording import LINK, Words, as_html, plain
from pinwheel.kernel.vault import Vault

WAY_OUT = {
    "en": "You get this letter because you subscribed to it. [Unsubscribe]({link})",
    "zh-CN": "您收到此邮件是因为订阅了本店资讯。[退订]({link})",
}


def unsubscribe_path(vault: Vault, address_hash: bytes, language: str) -> str:
    return f"/{language}/letters/unsubscribe/{link_token(vault, address_hash)}"


def with_way_out(said: Words, vault: Vault, language: str, address_hash: bytes) -> Words:
    """Every marketing letter ends with the way out."""
    link = unsubscribe_path(vault, address_hash, language)
    return Words(said.subject, f"{said.text}\n\n{WAY_OUT[language].format(link=link)}")


def counted(said: Words, vault: Vault, message_id: uuid.UUID, language: str) -> Words:
    """Links into the shop by way of a counter. The address it leads to is part of the signature: it
    leads nowhere else. Links to other places stay as they are."""

    def by_way(link: re.Match[str]) -> str:
        path = link[2]
        if not path.startswith("/") or path.startswith("//"):
            return link[0]
        token = message_token(vault, message_id, f"click {path}")
        return f"[{link[1]}](/{language}/letters/go/{token}?to={quote(path, safe='/')})"

    return Words(said.subject, LINK.sub(by_way, said.text))


def raw_letter(
    vault: Vault,
    house: Post,
    *,
    message_id: uuid.UUID,
    to: str,
    said: Words,
    language: str,
    address_hash: bytes | None,
) -> bytes:
    """The bytes of one letter (RFC 5322). With ``address_hash`` it is marketing: it carries the
    one-click way out (RFC 8058), which mail programs show beside the sender."""
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = said.subject
    letter["From"] = house.sender
    letter["To"] = Address(addr_spec=to) if to.isascii() else to
    letter["Message-ID"] = f"<{message_id}@{domain_of(house.sender).rstrip('>')}>"
    letter["Content-Language"] = language
    if address_hash is None:
        letter["Auto-Submitted"] = "auto-generated"
    else:
        link = house.base_url + unsubscribe_path(vault, address_hash, language)
        letter["List-Unsubscribe"] = f"<{link}>"
        letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        said = counted(said, vault, message_id, language)
        said = with_way_out(said, vault, language, address_hash)
    letter.set_content(plain(said.text, house.base_url))
    made = as_html(said, language, house.base_url)
    if address_hash is not None:
        seen = (
            f"{house.base_url}/{language}/letters/seen/{message_token(vault, message_id, 'seen')}"
        )
        made = made.replace("</body>", f'<img src="{seen}" alt="" width="1" height="1"></body>')
    letter.add_alternative(made, subtype="html")
    return letter.as_bytes()
