"""Names that stand for others, and tell nobody without the secret which."""

import hmac

DIGITS = 16


def pseudonym(secret: bytes, name: str) -> str:
    """The same hexadecimal digits for the same name and secret (HMAC-SHA256, RFC 2104)."""
    return hmac.digest(secret, name.encode(), "sha256").hex()[:DIGITS]
