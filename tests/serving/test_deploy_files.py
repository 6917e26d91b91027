"""The files in deploy/ speak of metrics that the service has."""

import re
from pathlib import Path

import pytest
from service_process import RunningService

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("file", ["alerts.yml", "grafana/twofold.json"])
def test_every_metric_is_one_of_the_service(service: RunningService, file: str) -> None:
    text = service.ask("GET", "/metrics")[2].decode()
    names = {name for line in text.splitlines() if line.startswith("# TYPE") for name in [line.split()[2]]}
    names |= {f"{name}_bucket" for name in names}
    used = set(re.findall(r"twofold_\w+", (DEPLOY / file).read_text(encoding="utf-8")))
    assert "twofold_watch_alarm" in used <= names
