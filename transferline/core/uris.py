"""Addresses for messages: without user names, passwords and tokens."""

from __future__ import annotations

import re

# all up to the last @ before the next slash, quote or white space: a password may contain an @ itself
_LOGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/'\"<>`]*@")
_PARAMETER = re.compile(
    r"(?P<name>[?&;](?:password|passwd|pwd|token|secret|sig|signature|key|api_key)=)[^\s&;'\"<>`]+", re.I
)


def without_credentials(text: object) -> str:
    """A text in which addresses have no logins and no secret parameters: `http://ada:word@host/x` becomes `http://host/x`."""
    shown = str(text)
    if "://" not in shown:
        return shown
    return _PARAMETER.sub(r"\g<name>***", _LOGIN.sub(r"\g<scheme>", shown))


def has_credentials(uri: str) -> bool:
    """Whether an address contains a login or a secret parameter."""
    return without_credentials(uri) != uri
