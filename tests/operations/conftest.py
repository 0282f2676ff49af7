from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operations.service import Served, make_two_targets, serve


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all tests that do not end it."""
    folder = tmp_path_factory.mktemp("service")
    served = serve(make_two_targets(folder / "project"), folder / "home")
    yield served
    served.end()
    assert not served.ours, "something outlived the service"
