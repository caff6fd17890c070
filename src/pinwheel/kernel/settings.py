"""Settings: read once from the environment (``PINWHEEL_…``), checked, and handed down as one
struct."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from pinwheel.kernel.errors import Invalid


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation may set. Each field is the variable ``PINWHEEL_`` + its name in
    capitals."""

    database_url: str = ""  # empty: start the embedded server
    data_dir: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = 8600
    public_url: str = ""  # empty: http://host:port
    secret: str = ""  # signs sessions and tokens; empty: made once and kept in the data directory
    cell: int = 0  # the shard this process writes to
    pool_size: int = 12
    default_language: str = "zh-CN"
    currency: str = "CNY"
    capture: str = "at_placement"  # or at_shipment
    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_publishable_key: str = ""
    smtp_url: str = ""  # smtp(s)://user:password@host:port; empty: mail goes to the local mailbox
    mail_from: str = ""  # the sender's address
    mail_webhook_secret: str = ""  # whsec_…: signs notices of bounces; empty: none are taken
    log_level: str = "info"
    secure_cookies: bool = False
    trusted_proxies: str = ""  # comma-separated addresses whose X-Forwarded-For is believed
    time_zone: str = "Asia/Shanghai"  # what a page's times are shown in
    rate_limit_per_second: float = 100  # for one address and one process; 0: none
    demonstration: bool = True  # seed a labelled demonstration shop when the database is empty

    def __repr__(self) -> str:
        return f"Settings(host={self.host!r}, port={self.port}, data_dir={str(self.data_dir)!r}, …)"


def from_environment(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """The settings of this process. An unreadable value is refused with the variable's name."""
    environ = os.environ if environ is None else environ
    raw: dict[str, object] = {}
    for field in msgspec.structs.fields(Settings):
        value = environ.get(f"PINWHEEL_{field.name.upper()}")
        if value is not None:
            raw[field.name] = value
    raw.update(overrides)
    try:
        return msgspec.convert(raw, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        field_name = str(error).rsplit("$.", 1)[-1].rstrip("`")
        raise Invalid(
            f"PINWHEEL_{field_name.upper()}", str(error), f"设置的值无法识别：{error}"
        ) from error


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)


def completed(settings: Settings) -> Settings:
    """With a secret: the one that is set, or the one in the data directory, made on the first
    start.

    Several secrets may be set, separated by commas, the oldest first: the last one signs and seals,
    what older ones sealed can still be opened.
    """
    if settings.secret:
        return settings
    file = settings.data_dir / "secret"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w", encoding="ascii") as opened:
            opened.write(secrets.token_urlsafe(48))
            opened.flush()
            os.fsync(opened.fileno())
    secret = file.read_text(encoding="ascii").strip()
    if len(secret) < 16:
        raise Invalid(
            str(file), "this file must hold the secret; restore it", "此文件应保存密钥，请恢复"
        )
    return msgspec.structs.replace(settings, secret=secret)
