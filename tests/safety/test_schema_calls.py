"""schemathesis calls the REST API as its OpenAPI document allows, and in ways that it does not: nothing is a 500."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from tests.factories import (
    API_KEY,
    ExportFactory,
    IntegrationFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    SourceFactory,
)
from tests.factories import token_for as token

EXAMPLES = 5  # of each call, and as many broken ones
pytestmark = pytest.mark.django_db
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Scene:
    """A project with one of what calls speak of."""

    def __init__(self) -> None:
        self.project = ProjectFactory()
        integration = IntegrationFactory(project=self.project)
        export = ExportFactory(project=self.project, integration=integration, recurring=True)
        run = RunFactory(export=export, done=True, counts={"rejected": 1})
        RejectedFactory(run=run)
        self.token = token(self.project)
        credential = self.project.credentials.get()
        self.keys = {"integrations": integration.pk, "exports": export.pk, "runs": run.pk, "credentials": credential.pk}
        self.keys["sources"] = SourceFactory(project=self.project).pk


@pytest.fixture
def rest_api(db: Any, settings: Any) -> Iterator[Any]:
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = "http://127.0.0.1:1"
    for signal in (request_started, request_finished):  # as Django's own test client does
        signal.disconnect(close_old_connections)
    scene = Scene()
    loaded = schemathesis.openapi.from_wsgi("/api/schema/?format=json", WSGIHandler())
    loaded.scene = scene

    @loaded.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        """Every second key is one that is there."""
        kind = context.operation.path.split("/")[3]
        if path_parameters and kind in scene.keys and hash(str(path_parameters)) % 2:
            return {**path_parameters, "id": scene.keys[kind]}
        return path_parameters

    yield loaded
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_call_is_a_500(rest_api: Any, mode: GenerationMode) -> None:
    headers = {"Authorization": f"Bearer {rest_api.scene.token}", "Accept-Encoding": "identity"}
    answered = set()

    def check(case: Any) -> None:
        with transaction.atomic():
            answer = case.call(headers=headers)
            transaction.set_rollback(True)
        case.validate_response(answer, checks=[not_a_server_error])
        assert API_KEY.encode() not in answer.content
        assert SourceFactory.passcode.encode() not in answer.content
        answered.add(case.operation.label)

    operations = [found.ok() for found in rest_api.get_all_operations()]
    for operation in operations:
        bounded(given(case=operation.as_strategy(generation_mode=mode))(check))()
    assert {"GET /api/v1/exports/", "POST /api/v1/integrations/", "PATCH /api/v1/project/"} <= answered
    assert len(answered) > len(operations) * 0.9  # a call without any input cannot be broken
