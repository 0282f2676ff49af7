"""Addresses are shown without what opens them, and everything else is shown as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferline.core.errors import InputError
from transferline.core.uris import has_credentials, without_credentials

WORD = "canary-word"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (f"http://ada:{WORD}@host:5000/api", "http://host:5000/api"),
        (
            f"postgresql+psycopg2://ada:{WORD}@db/mlflow?sslmode=require",
            "postgresql+psycopg2://db/mlflow?sslmode=require",
        ),
        (f"mysql://ada:{WORD}@with@db/x", "mysql://db/x"),
        (f"s3://key:{WORD}@bucket/line", "s3://bucket/line"),
        (f"http://{WORD}@host/", "http://host/"),
        (f"https://host/x?token={WORD}&page=2", "https://host/x?token=***&page=2"),
        (f"could not reach 'https://a:{WORD}@b/c' (see http://d/e)", "could not reach 'https://b/c' (see http://d/e)"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("film-sentiment@champion", "film-sentiment@champion"),
        ("mail ada@example.org", "mail ada@example.org"),
        ("https://host/models/film@3", "https://host/models/film@3"),
    ],
)
def test_logins_leave_and_the_rest_stays(uri: str, shown: str) -> None:
    assert without_credentials(uri) == shown
    assert has_credentials(uri) == (uri != shown)


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z0-9%!$*+,;=_.~@:-]{6,30}", fullmatch=True), st.text(max_size=20))
def test_no_password_passes_in_any_text(word: str, around: str) -> None:
    secret = f"Q{word}Z"
    assert secret not in without_credentials(
        f"{around} http://ada:{secret}@host/x {around}".replace(secret[1:], word + "Z")
    )


def test_an_input_error_names_no_password() -> None:
    uri = f"http://ada:{WORD}@host"
    error = InputError(uri, f"{uri} does not answer", f"Check {uri}")
    assert WORD not in f"{error} {error!r} {error.args}"
    assert str(error) == "http://host: http://host does not answer. Check http://host"
