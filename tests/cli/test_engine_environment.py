"""The command line turns off the report of Ray before Ray starts."""

import os

import pytest

from twofold.cli.engine_environment import prepare_engine


def test_ray_reports_nothing_even_where_the_user_allowed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    prepare_engine("local")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    prepare_engine("ray")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
