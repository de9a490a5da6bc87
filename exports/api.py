"""REST: exports, their runs and rejected records. Every view is one call of a verb or of a named read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from exports import actions, again, history, rejected, skipped
from exports.filters import ExportFilter
from exports.lag import lags
from exports.models import Export, Rejected, Run, Skipped
from exports.preview import of_export, preview
from exports.serializers import (
    ContinueInput,
    ExportInput,
    ExportPatch,
    ExportSerializer,
    HistorySerializer,
    PreviewSerializer,
    RejectedSerializer,
    ResendAnswer,
    ResendInput,
    RunSerializer,
    SkippedSerializer,
)
from exports.spec import spec_of
from exports_portal.common.api import ProjectView
from exports_portal.common.files import csv_file
from exports_portal.common.filters import ProjectFilters

REASONS = OpenApiParameter("reason", OpenApiTypes.STR, many=True)


def _rejected_of(request: Request, **where: Any) -> QuerySet[Rejected]:
    """Rejected records in the order in which they were; of some reasons only, if the request names any."""
    rows = Rejected.objects.filter(**where).order_by("id")
    reasons = list(map(rejected.clean_reason, request.query_params.getlist("reason")))
    return rows.filter(reason__in=reasons) if reasons else rows


class ExportViewSet(ProjectView, GenericViewSet):
    """Exports."""

    serializer_class = ExportSerializer
    lookup_value_converter = "int"
    queryset = Export.objects.none()
    filter_backends: Sequence[Any] = [ProjectFilters]
    filterset_class = ExportFilter

    def get_queryset(self) -> QuerySet[Export]:
        return (
            Export.objects.filter(project=self.project)
            .select_related("integration")
            .defer("integration__secrets")
            .with_counts()
        )

    def list(self, request: Request) -> Response:
        """The exports of the project, newest first. Filters may be repeated; days are local and inclusive."""
        self.parameters = ExportFilter.base_filters
        return self.listed(self.filter_queryset(self.get_queryset()), ExportSerializer, beside=self._lags)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One export; its counts are those of all its runs."""
        return self._answer(pk)

    @extend_schema(request=ExportInput, responses={201: ExportSerializer})
    def create(self, request: Request) -> Response:
        """Create an export. It is PENDING until a worker takes it up."""
        spec = ExportInput.as_spec(self.given(ExportInput))
        export = actions.create_export(project=self.project, spec=spec, by=self.by, now=self.now)
        return self._answer(export.pk, status=201)

    @extend_schema(request=ExportPatch, responses=ExportSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a recurring or live export. What is left out stays. 409 when it cannot be edited (any more)."""
        export = self._own(pk)
        given = self.given(ExportPatch, partial=True)
        version = given.pop("version", None)
        spec = replace(spec_of(export), **ExportInput.as_spec_fields(given))
        actions.edit_export(export=export, spec=spec, version=version, by=self.by, now=self.now)
        return self._answer(pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: int) -> Response:
        """Stop for good; 200 also when it is STOPPED already, 409 when it is DONE."""
        actions.stop_export(export=self._own(pk), by=self.by, now=self.now)
        return self._answer(pk)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Retry now instead of waiting. 409 unless it is PENDING or RUNNING."""
        actions.retry_export(export=self._own(pk), by=self.by, now=self.now)
        return self._answer(pk)

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"], url_path="run-now")
    def run_now(self, request: Request, pk: int) -> Response:
        """Start a run of a recurring export now; the answer is the run. 409 when that is not possible."""
        run = actions.run_now(export=self._own(pk), by=self.by, now=self.now)
        return Response(RunSerializer(Run.objects.with_counts().get(pk=run.pk)).data)

    @extend_schema(request=None, responses={201: ExportSerializer})
    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, pk: int) -> Response:
        """A new export with the same settings; days too far back by now become the oldest ones allowed."""
        export = again.duplicate_export(export=self._own(pk), by=self.by, now=self.now)
        return self._answer(export.pk, status=201)

    @extend_schema(request=ContinueInput, responses={201: ExportSerializer})
    @action(detail=True, methods=["post"], url_path="continue")
    def go_on(self, request: Request, pk: int) -> Response:
        """A new export that begins where a stopped recurring or live one stood, with what it held. Once, else 409.

        409 also where consent is missing.
        """
        export = again.continue_export(export=self._own(pk), by=self.by, now=self.now, **self.given(ContinueInput))
        return self._answer(export.pk, status=201)

    @extend_schema(responses=PreviewSerializer)
    @action(detail=True, methods=["get"], url_path="preview", url_name="preview")
    def preview_saved(self, request: Request, pk: int) -> Response:
        """Ten records exactly as the partner would get them, and an estimate of how many."""
        export = self._own(pk)
        return Response(PreviewSerializer(of_export(export, now=self.now)).data)

    @extend_schema(request=ExportInput, responses=PreviewSerializer)
    @action(detail=False, methods=["post"], url_path="preview", url_name="preview-unsaved")
    def preview_unsaved(self, request: Request) -> Response:
        """The same for an export that has not been created."""
        spec = ExportInput.as_spec(self.given(ExportInput))
        return Response(PreviewSerializer(preview(project=self.project, spec=spec, now=self.now)).data)

    @extend_schema(responses=RunSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def runs(self, request: Request, pk: int) -> Response:
        """The runs of an export, newest first."""
        rows = self._own(pk).runs.with_counts().order_by("-sequence")
        return self.listed(rows, RunSerializer)

    @extend_schema(responses=RejectedSerializer(many=True), parameters=[REASONS], filters=False)
    @action(detail=True, methods=["get"])
    def rejected(self, request: Request, pk: int) -> Response:
        """The records of all its runs that were refused, and why, in the order in which they were."""
        self.parameters = ["reason"]
        return self.listed(_rejected_of(request, run__export=self._own(pk)), RejectedSerializer)

    @extend_schema(request=ResendInput, responses=ResendAnswer)
    @action(detail=True, methods=["post"], url_path="rejected/resend", url_name="rejected-resend")
    def resend(self, request: Request, pk: int) -> Response:
        """Send rejected records of any of its runs again: by id, or all of a reason. 409 where consent is missing."""
        queued = rejected.resend(export=self._own(pk), by=self.by, now=self.now, **self.given(ResendInput))
        return Response({"queued": queued})

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, parameters=[REASONS], filters=False)
    @action(detail=True, methods=["get"], url_path="rejected.csv", url_name="rejected-csv")
    def rejected_csv(self, request: Request, pk: int) -> StreamingHttpResponse:
        """The rejected records of all its runs as a CSV file, safe to open in a spreadsheet."""
        self.take_only("reason")
        rows = _rejected_of(request, run__export=self._own(pk))
        return csv_file(rejected.as_csv(rows), f"rejected-export-{pk}")

    @extend_schema(responses=HistorySerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def history(self, request: Request, pk: int) -> Response:
        """Who did what to the export and its runs, newest first."""
        return self.listed(history.entries(self._own(pk)), HistorySerializer)

    def _own(self, pk: int) -> Export:
        rows = Export.objects.select_related("integration", "project").defer("integration__secrets")
        return get_object_or_404(rows, project=self.project, pk=pk)

    def _answer(self, pk: int, status: int = 200) -> Response:
        export = get_object_or_404(self.get_queryset(), pk=pk)
        return Response(ExportSerializer(export, context=self._lags([export])).data, status=status)

    def _lags(self, exports: Sequence[Export]) -> dict[str, Any]:
        return {"lags": lags(exports, now=self.now)}


class RunViewSet(ProjectView, GenericViewSet):
    """Runs."""

    serializer_class = RunSerializer
    lookup_value_converter = "int"
    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        return Run.objects.filter(export__project=self.project)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One run: the window that it owns and what became of each record in it."""
        rows = Run.objects.with_counts().filter(export__project=self.project)
        run = get_object_or_404(rows, pk=pk)
        return Response(RunSerializer(run).data)

    @extend_schema(responses=RejectedSerializer(many=True), parameters=[REASONS])
    @action(detail=True, methods=["get"])
    def rejected(self, request: Request, pk: int) -> Response:
        """The records of a run that were refused, and why, in the order in which they were."""
        run = get_object_or_404(self.get_queryset(), pk=pk)
        self.parameters = ["reason"]
        return self.listed(_rejected_of(request, run=run), RejectedSerializer)

    @extend_schema(responses=SkippedSerializer(many=True))
    @action(detail=True, methods=["get"])
    def skipped(self, request: Request, pk: int) -> Response:
        """The records of a run that could not be sent at all, and why; the first 1,000, in the order of reading."""
        run = get_object_or_404(self.get_queryset().select_related("export"), pk=pk)
        rows = Skipped.objects.filter(run=run).select_related("run").order_by("id")
        return self.listed(rows, SkippedSerializer, shown=lambda page: skipped.lines(page, export=run.export))

    @extend_schema(request=ResendInput, responses=ResendAnswer)
    @action(detail=True, methods=["post"], url_path="rejected/resend", url_name="rejected-resend")
    def resend(self, request: Request, pk: int) -> Response:
        """Send rejected records again: some by id, or all of a reason. 409 where consent is missing."""
        run = get_object_or_404(self.get_queryset().select_related("export"), pk=pk)
        given = self.given(ResendInput)
        queued = rejected.resend(export=run.export, run=run, by=self.by, now=self.now, **given)
        return Response({"queued": queued})

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, parameters=[REASONS])
    @action(detail=True, methods=["get"], url_path="rejected.csv", url_name="rejected-csv")
    def rejected_csv(self, request: Request, pk: int) -> StreamingHttpResponse:
        """The rejected records of a run as a CSV file, safe to open in a spreadsheet."""
        self.take_only("reason")
        run = get_object_or_404(self.get_queryset(), pk=pk)
        return csv_file(rejected.as_csv(_rejected_of(request, run=run)), f"rejected-run-{run.pk}")
